// A closed loop of callers on etcd's own client: each waits for its reply before it calls again.
// It ends with one line of JSON, in the shape that the rest of the benchmark uses.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
)

type latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

type result struct {
	Operations int     `json:"operations"`
	Errors     int     `json:"errors"`
	Seconds    float64 `json:"seconds"`
	Latency    latency `json:"latency"`
}

func ask(client *clientv3.Client, reading, serializable bool, key, value string) error {
	if !reading {
		_, err := client.Put(context.Background(), key, value)
		return err
	}
	var options []clientv3.OpOption
	if serializable {
		options = append(options, clientv3.WithSerializable())
	}
	found, err := client.Get(context.Background(), key, options...)
	if err == nil && len(found.Kvs) == 0 {
		return fmt.Errorf("no key %s", key)
	}
	return err
}

// Writes every key once, many in each transaction.
func fill(opened []*clientv3.Client, prefix string, from, keys, writers int, value string) {
	perCall := 262144 / len(value) // a transaction's size is limited, and so is the number of its operations
	if perCall > 100 {
		perCall = 100
	} else if perCall < 1 {
		perCall = 1
	}
	firsts := make(chan int)
	var group sync.WaitGroup
	for writer := 0; writer < writers; writer++ {
		group.Add(1)
		go func(client *clientv3.Client) {
			defer group.Done()
			for first := range firsts {
				var puts []clientv3.Op
				for i := first; i < first+perCall && i < keys; i++ {
					puts = append(puts, clientv3.OpPut(fmt.Sprintf("%s%08d", prefix, i), value))
				}
				if _, err := client.Txn(context.Background()).Then(puts...).Commit(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		}(opened[writer%len(opened)])
	}
	for first := from; first < keys; first += perCall {
		firsts <- first
	}
	close(firsts)
	group.Wait()
}

func main() {
	endpoints := flag.String("endpoints", "", "host:port, separated by commas")
	clients := flag.Int("clients", 1, "writers")
	connections := flag.Int("connections", 12, "at most so many connections, shared by the writers")
	duration := flag.Duration("duration", time.Second, "how long to write")
	keys := flag.Int("keys", 10000, "how many keys to choose from")
	prefix := flag.String("prefix", "key-", "what the keys begin with")
	valueBytes := flag.Int("value-bytes", 256, "size of each value")
	reads := flag.Float64("reads", 0, "the part of the calls that read, 0 to 1")
	serializable := flag.Bool("serializable", false, "read what the asked node has")
	from := flag.Int("from", 0, "with fill: leave out so many keys")
	filling := flag.Bool("fill", false, "write every key once, and end")
	flag.Parse()

	all := strings.Split(*endpoints, ",")
	if *connections > *clients {
		*connections = *clients
	}
	opened := make([]*clientv3.Client, *connections)
	for i := range opened {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{all[i%len(all)]}, DialTimeout: 5 * time.Second})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		opened[i] = client
	}

	value := strings.Repeat("x", *valueBytes)
	if *filling {
		fill(opened, *prefix, *from, *keys, *clients, value)
		return
	}
	took := make([][]float64, *clients)
	failed := make([]int, *clients)
	var group sync.WaitGroup
	began := time.Now()
	for writer := 0; writer < *clients; writer++ {
		group.Add(1)
		go func(writer int) {
			defer group.Done()
			client := opened[writer%len(opened)]
			random := rand.New(rand.NewSource(began.UnixNano() + int64(writer)))
			for time.Since(began) < *duration {
				key := fmt.Sprintf("%s%08d", *prefix, random.Intn(*keys))
				reading := *reads > 0 && random.Float64() < *reads
				asked := time.Now()
				// The time of a failed call counts too, as it does wherever else latencies are measured here.
				if err := ask(client, reading, *serializable, key, value); err != nil {
					failed[writer]++
				}
				took[writer] = append(took[writer], time.Since(asked).Seconds()*1000)
			}
		}(writer)
	}
	group.Wait()

	done := result{Seconds: time.Since(began).Seconds()}
	var millis []float64
	for writer := range took {
		millis = append(millis, took[writer]...)
		done.Errors += failed[writer]
	}
	done.Operations = len(millis) - done.Errors
	if len(millis) > 0 {
		sort.Float64s(millis)
		at := func(part float64) float64 { return millis[int(part*float64(len(millis)-1))] }
		done.Latency = latency{at(0.5), at(0.9), at(0.99), at(0.999), at(1)}
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		os.Exit(1)
	}
}
