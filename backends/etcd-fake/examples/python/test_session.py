import base64
import json
import urllib.request


def call(url, **body):
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read() or "null")


KEY = base64.b64encode(b"session").decode()


def test_a_session_ends_with_its_lease(etcd, server):
    call(f"{etcd}/v3/lease/grant", ID=7, TTL=3600)
    call(f"{etcd}/v3/kv/put", key=KEY, lease=7)
    assert "kvs" in call(f"{etcd}/v3/kv/range", key=KEY)

    # An hour passes at once.
    call(server["controlled at"] + "/advance", seconds=3601)
    assert "kvs" not in call(f"{etcd}/v3/kv/range", key=KEY)


def test_each_test_has_a_new_etcd(etcd):
    response = call(f"{etcd}/v3/kv/range", key=KEY)
    assert response["header"]["revision"] == "1"
