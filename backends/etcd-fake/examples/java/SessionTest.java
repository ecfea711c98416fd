import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.HashMap;
import java.util.Map;

/** Run by `java SessionTest.java`. */
class SessionTest {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        String anyPort = "http://127.0.0.1:0";
        Process server = new ProcessBuilder("etcd-fake",
            "--listen-client-urls", anyPort,
            "--listen-control-url", anyPort).start();
        Map<String, String> urls = new HashMap<>();
        var lines = server.inputReader();
        while (!urls.containsKey("controlled")) {
            String[] words = lines.readLine().split(" ");
            urls.put(words[1], words[words.length - 1]);
        }
        try {
            aSessionEndsWithItsLease(
                urls.get("serving"), urls.get("controlled"));
        } finally {
            server.destroy();
        }
        System.out.println("1 passed, 0 failed");
    }

    static void aSessionEndsWithItsLease(String url, String control)
            throws Exception {
        // Keys and values travel in base64: this is "session".
        String key = "\"key\": \"c2Vzc2lvbg==\"";
        post(url + "/v3/lease/grant", "{\"ID\": 7, \"TTL\": 3600}");
        post(url + "/v3/kv/put", "{" + key + ", \"lease\": 7}");
        check(post(url + "/v3/kv/range", "{" + key + "}").contains("kvs"));

        // An hour passes at once.
        post(control + "/advance", "{\"seconds\": 3601}");
        check(!post(url + "/v3/kv/range", "{" + key + "}").contains("kvs"));
    }

    static String post(String url, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url))
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        var response = CLIENT.send(request, BodyHandlers.ofString());
        check(response.statusCode() == 200);
        return response.body();
    }

    static void check(boolean isSo) {
        if (!isSo) {
            throw new AssertionError();
        }
    }
}
