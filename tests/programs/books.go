// A program that knows what it holds: goroutines that wait, objects of three functions, and a loop of requests whose latency it
// measures. It answers lines on its standard input: `books`, `latency`; it ends with its input.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"time"
)

var (
	never  = make(chan int)
	small  [][]byte
	medium [][]byte
	large  [][]byte
)

//go:noinline
func keepSmall() { small = append(small, make([]byte, 64)) }

//go:noinline
func keepMedium() { medium = append(medium, make([]byte, 4096)) }

//go:noinline
func keepLarge() { large = append(large, make([]byte, 1<<20)) }

//go:noinline
func waitForNobody() { <-never }

//go:noinline
func startWaiter() { go waitForNobody() }

// Prints what the runtime knows of itself: goroutines, sizes, and live sampled objects by function and size.
func books() {
	records := make([]runtime.MemProfileRecord, 10_000)
	n, _ := runtime.MemProfile(records, false)
	var sites []string
	for _, record := range records[:n] {
		objects := record.InUseObjects()
		if objects == 0 {
			continue
		}
		site := fmt.Sprintf(`{"function":%q,"size":%d,"objects":%d}`,
			own(record.Stack()), record.InUseBytes()/objects, objects)
		sites = append(sites, site)
	}
	// Last: what this function allocates is on the books as well.
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf(`{"goroutines":%d,"allocated":%d,"reserved":%d,"collections":%d,"rate":%d,"sites":[%s]}`+"\n",
		runtime.NumGoroutine(), stats.HeapAlloc, stats.HeapSys, stats.NumGC, runtime.MemProfileRate,
		strings.Join(sites, ","))
}

// The innermost function of this program.
func own(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "main.") {
			return frame.Function
		}
		if !more {
			return ""
		}
	}
}

type latencies struct {
	requests int
	p99      time.Duration
}

// Sends a byte through a pipe to another goroutine and back, for a second.
func measure(out, in *os.File) latencies {
	var took []time.Duration
	buffer := make([]byte, 1)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		began := time.Now()
		out.Write(buffer)
		in.Read(buffer)
		took = append(took, time.Since(began))
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return latencies{len(took), took[len(took)*99/100]}
}

func echo(in, out *os.File) {
	buffer := make([]byte, 1)
	for {
		if _, err := in.Read(buffer); err != nil {
			return
		}
		out.Write(buffer)
	}
}

func main() {
	waiters, _ := strconv.Atoi(os.Args[1])
	for i := 0; i < waiters; i++ {
		startWaiter()
	}
	for i := 0; i < 200_000; i++ {
		keepSmall()
	}
	for i := 0; i < 5_000; i++ {
		keepMedium()
	}
	for i := 0; i < 20; i++ {
		keepLarge()
	}
	requests, requestsOut, _ := os.Pipe()
	replies, repliesOut, _ := os.Pipe()
	go echo(requests, repliesOut)
	// Twice: what is allocated shows in the profile of the second collection after it.
	runtime.GC()
	runtime.GC()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "books":
			books()
		case "latency":
			seen := measure(requestsOut, replies)
			fmt.Printf(`{"requests":%d,"p99_us":%.1f}`+"\n", seen.requests, float64(seen.p99.Nanoseconds())/1e3)
		}
	}
}
