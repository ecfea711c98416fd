package session

import (
	"bufio"
	"context"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	// For a Go module: go.etcd.io/etcd/client/v3.
	"go.etcd.io/etcd/clientv3"
)

// Starts an etcd for a test, and returns its URL and that of its control.
func start(t *testing.T) (string, string) {
	anyPort := "http://127.0.0.1:0"
	command := exec.Command("etcd-fake", "--listen-client-urls", anyPort,
		"--listen-control-url", anyPort)
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		command.Wait()
	})
	var serving string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		words := strings.Fields(lines.Text())
		url := words[len(words)-1]
		switch words[1] {
		case "serving":
			serving = url
		case "controlled":
			return serving, url
		}
	}
	t.Fatal("etcd-fake has ended")
	return "", ""
}

func TestASessionEndsWithItsLease(t *testing.T) {
	url, control := start(t)
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{url},
		DialTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	lease, err := client.Grant(ctx, 3600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Put(ctx, "session", "me", clientv3.WithLease(lease.ID))
	if err != nil {
		t.Fatal(err)
	}

	// An hour passes at once.
	hour := strings.NewReader(`{"seconds": 3601}`)
	_, err = http.Post(control+"/advance", "application/json", hour)
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.Get(ctx, "session")
	if err != nil || found.Count != 0 {
		t.Fatal(found, err)
	}
}
