// puddle: acquire, hold, release.
//
// Settings, and why:
//
//	maxSize = C            with all C opened before the first pass; puddle closes none by itself
//	context.Background()   no deadline, no cancellation: the cheapest acquire that puddle has
//
// The T callers are goroutines, on as many OS threads as the machine has CPUs (GOMAXPROCS default): that
// is how Go programs use it. A hand-over between them is a switch inside the runtime, not one of the
// kernel's, which the rivals with OS threads have to pay.
//
// Four passes with the same goroutines: warm-up without and with clock, then the two that count. Pass
// "count" has no clock in its loop unless it holds; pass "time" times every acquire.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/puddle"
)

const warmUp = 300 * time.Millisecond

var version = "unknown" // set by the linker

type options struct {
	threads     int
	connections int
	hold        time.Duration
	pass        time.Duration
}

type pass struct {
	length time.Duration
	timed  bool
}

type bench struct {
	options options
	pool    *puddle.Pool
	epoch   time.Time
	_       [128]byte // the flag is alone on its line: every worker reads it in every cycle
	stop    atomic.Bool
	_       [128]byte
}

// Written by its own goroutine only.
type worker struct {
	ops     uint64
	started time.Duration
	ended   time.Duration
	waits   hist
	_       [128]byte
}

var opened int32

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, "puddle:", what, err)
	os.Exit(1)
}

func mockOpen(context.Context) (interface{}, error) {
	atomic.AddInt32(&opened, 1)
	return nil, nil
}

func mockClose(interface{}) {}

// now reads the monotonic clock only: time.Now alone would read the wall clock as well.
func (b *bench) now() time.Duration {
	return time.Since(b.epoch)
}

func (b *bench) hold() {
	if b.options.hold > 0 {
		for start := b.now(); b.now()-start < b.options.hold; {
		}
	}
}

func (b *bench) acquire() *puddle.Resource {
	resource, err := b.pool.Acquire(context.Background())
	if err != nil {
		fail("acquire failed:", err)
	}
	return resource
}

func (b *bench) countCycles() (ops uint64) {
	for !b.stop.Load() {
		resource := b.acquire()
		b.hold()
		resource.Release()
		ops++
	}
	return ops
}

func (b *bench) timeAcquires(waits *hist) uint64 {
	*waits = hist{}
	for !b.stop.Load() {
		start := b.now()
		resource := b.acquire()
		waits.add(uint64(b.now() - start))
		b.hold()
		resource.Release()
	}
	return waits.count
}

func (b *bench) onePass(self *worker, timed bool) {
	self.started = b.now()
	if timed {
		self.ops = b.timeAcquires(&self.waits)
	} else {
		self.ops = b.countCycles()
	}
	self.ended = b.now()
}

// runPass starts all together and returns when nobody runs any more.
func (b *bench) runPass(gates []chan pass, done *sync.WaitGroup, next pass) {
	b.stop.Store(false)
	done.Add(len(gates))
	for _, gate := range gates {
		gate <- next
	}
	time.Sleep(next.length)
	b.stop.Store(true)
	done.Wait()
}

func (b *bench) startWorkers(workers []worker, done *sync.WaitGroup) []chan pass {
	gates := make([]chan pass, len(workers))
	for i := range workers {
		gates[i] = make(chan pass, 1)
		go func(self *worker, gate chan pass) {
			for next := range gate {
				b.onePass(self, next.timed)
				done.Done()
			}
		}(&workers[i], gates[i])
	}
	return gates
}

// opsPerSecond counts from the first start to the last end: the cycles that finish after "stop" are
// in the time too.
func opsPerSecond(workers []worker) float64 {
	first, last, ops := workers[0].started, workers[0].ended, uint64(0)
	for i := range workers {
		if workers[i].started < first {
			first = workers[i].started
		}
		if workers[i].ended > last {
			last = workers[i].ended
		}
		ops += workers[i].ops
	}
	return float64(ops) / (last - first).Seconds()
}

func mergedWaits(workers []worker) *hist {
	sum := &hist{}
	for i := range workers {
		sum.merge(&workers[i].waits)
	}
	return sum
}

func openPool(connections int) *puddle.Pool {
	pool := puddle.NewPool(mockOpen, mockClose, int32(connections))
	for i := 0; i < connections; i++ {
		if err := pool.CreateResource(context.Background()); err != nil {
			fail("cannot open a resource:", err)
		}
	}
	return pool
}

func checkOpened(connections int) {
	if n := atomic.LoadInt32(&opened); int(n) != connections {
		fail("wrong number of connections opened:", fmt.Errorf("%d", n))
	}
}

func report(o options, opsPerS float64, waits *hist) {
	fmt.Printf(`{"pool":"puddle","version":"%s","threads":%d,"connections":%d,"hold_us":%d,`+
		`"ops_per_s":%.0f,"cycle_ns":%.1f,"wait_ns":{"p50":%d,"p99":%d,"p999":%d,"max":%d}}`+"\n",
		version, o.threads, o.connections, o.hold.Microseconds(), opsPerS, 1e9/opsPerS,
		waits.quantile(500), waits.quantile(990), waits.quantile(999), waits.maxNs)
}

func parse() options {
	threads := flag.Int("threads", 1, "callers (goroutines)")
	connections := flag.Int("connections", 1, "resources in the pool")
	holdUs := flag.Int("hold-us", 0, "hold each resource for so long, busy")
	seconds := flag.Float64("seconds", 1, "length of each pass")
	flag.Parse()
	if flag.NArg() > 0 || *threads < 1 || *threads > 1024 || *connections < 1 ||
		*connections > 100000 || *holdUs < 0 || *holdUs > 1000000 || *seconds < 0.01 || *seconds > 3600 {
		fmt.Fprintln(os.Stderr, "usage: puddle --threads T --connections C --hold-us H --seconds S")
		os.Exit(2)
	}
	return options{
		threads:     *threads,
		connections: *connections,
		hold:        time.Duration(*holdUs) * time.Microsecond,
		pass:        time.Duration(*seconds * float64(time.Second)),
	}
}

func main() {
	o := parse()
	b := &bench{options: o, pool: openPool(o.connections), epoch: time.Now()}
	workers := make([]worker, o.threads)
	var done sync.WaitGroup
	gates := b.startWorkers(workers, &done)

	checkOpened(o.connections)
	b.runPass(gates, &done, pass{warmUp / 2, false})
	b.runPass(gates, &done, pass{warmUp / 2, true})
	b.runPass(gates, &done, pass{o.pass, false})
	opsPerS := opsPerSecond(workers)
	b.runPass(gates, &done, pass{o.pass, true})
	checkOpened(o.connections)
	report(o, opsPerS, mergedWaits(workers))
}
