// The other side of the interoperability tests: etcd's own Go packages concurrency and recipe, one command at a time.
//
//	peer ENDPOINT COMMAND NAME COUNT
//
// Where a command guards something, it increments the key NAME-count by a read, a pause and a put: increments are lost
// unless the guard holds.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	recipe "go.etcd.io/etcd/contrib/recipes"
)

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("usage: peer ENDPOINT COMMAND NAME COUNT"))
	}
	command, name := os.Args[2], os.Args[3]
	count, err := strconv.Atoi(os.Args[4])
	fail(err)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{os.Args[1]}, DialTimeout: 10 * time.Second})
	fail(err)
	defer client.Close()
	session, err := concurrency.NewSession(client, concurrency.WithTTL(20))
	fail(err)
	defer session.Close()
	ctx := context.Background()

	switch command {
	case "mutex":
		for i := 0; i < count; i++ {
			mutex := concurrency.NewMutex(session, name)
			fail(mutex.Lock(ctx))
			increment(client, name+"-count")
			fail(mutex.Unlock(ctx))
		}
	case "rwmutex":
		for i := 0; i < count; i++ {
			mutex := recipe.NewRWMutex(session, name)
			fail(mutex.Lock())
			increment(client, name+"-count")
			fail(mutex.Unlock())
			fail(mutex.RLock())
			fail(mutex.RUnlock())
		}
	case "election":
		for i := 0; i < count; i++ {
			election := concurrency.NewElection(session, name)
			fail(election.Campaign(ctx, "go"))
			leader, err := election.Leader(ctx)
			fail(err)
			if string(leader.Kvs[0].Value) != "go" {
				fail(fmt.Errorf("%s leads", leader.Kvs[0].Value))
			}
			increment(client, name+"-count")
			fail(election.Resign(ctx))
		}
	case "push":
		queue := recipe.NewQueue(client, name)
		for i := 0; i < count; i++ {
			fail(queue.Enqueue(fmt.Sprintf("go-%d", i)))
		}
	case "pop":
		queue := recipe.NewQueue(client, name)
		for i := 0; i < count; i++ {
			value, err := queue.Dequeue()
			fail(err)
			fmt.Println(value)
		}
	case "push-priority":
		queue := recipe.NewPriorityQueue(client, name)
		for i := 0; i < count; i++ {
			fail(queue.Enqueue(fmt.Sprintf("go-%d", i), uint16(i%3)))
		}
	case "pop-priority":
		queue := recipe.NewPriorityQueue(client, name)
		for i := 0; i < count; i++ {
			value, err := queue.Dequeue()
			fail(err)
			fmt.Println(value)
		}
	case "stm":
		for i := 0; i < count; i++ {
			_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
				number, _ := strconv.Atoi(stm.Get(name))
				stm.Put(name, strconv.Itoa(number+1))
				return nil
			})
			fail(err)
		}
	case "hold":
		fail(recipe.NewBarrier(client, name).Hold())
	case "release":
		fail(recipe.NewBarrier(client, name).Release())
	case "wait":
		fail(recipe.NewBarrier(client, name).Wait())
	case "hand-over":
		handOver(client, name, count)
	case "double-barrier":
		barrier := recipe.NewDoubleBarrier(session, name, count)
		fail(barrier.Enter())
		fail(barrier.Leave())
	default:
		fail(fmt.Errorf("unknown command %s", command))
	}
}

// Has so many sessions wait for a mutex, prints "queued", and waits for a line. Then it passes the mutex on from one to the
// next, and prints how many nanoseconds each of them took.
func handOver(client *clientv3.Client, name string, waiters int) {
	ctx := context.Background()
	lock := func() *concurrency.Mutex {
		session, err := concurrency.NewSession(client, concurrency.WithTTL(60))
		fail(err)
		return concurrency.NewMutex(session, name)
	}
	first := lock()
	fail(first.Lock(ctx))
	acquired := make(chan time.Time, waiters)
	var done sync.WaitGroup
	for i := 0; i < waiters; i++ {
		mutex := lock()
		done.Add(1)
		go func() {
			defer done.Done()
			fail(mutex.Lock(ctx))
			acquired <- time.Now()
			fail(mutex.Unlock(ctx))
		}()
	}
	for {
		queue, err := client.Get(ctx, name+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		fail(err)
		if queue.Count > int64(waiters) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	fmt.Println("queued")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	fail(err)
	last := time.Now()
	fail(first.Unlock(ctx))
	done.Wait()
	for i := 0; i < waiters; i++ {
		now := <-acquired
		fmt.Println(now.Sub(last).Nanoseconds())
		last = now
	}
}

func increment(client *clientv3.Client, key string) {
	found, err := client.Get(context.Background(), key)
	fail(err)
	number := 0
	if len(found.Kvs) > 0 {
		number, err = strconv.Atoi(string(found.Kvs[0].Value))
		fail(err)
	}
	time.Sleep(2 * time.Millisecond)
	_, err = client.Put(context.Background(), key, strconv.Itoa(number+1))
	fail(err)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
