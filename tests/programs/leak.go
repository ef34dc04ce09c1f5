// What leak.c does, as Go would: the standard library, threads by runtime.LockOSThread.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	churn   = 10
	held    = 900
	mapping = 1 << 16

	readWrite = syscall.PROT_READ | syscall.PROT_WRITE
	anonymous = syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS
)

type mode struct{ leak, churn func() }

var modes = map[string]mode{
	"fd":     {leakDescriptor, churnDescriptor},
	"socket": {leakSocket, churnSocket},
	"thread": {startLeakThread, churnThread},
	"mmap":   {leakMapping, churnMapping},
}

// A pipe that nobody writes to.
var never [2]int

// Without a reference the garbage collector would close what is leaked.
var kept []any

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

//go:noinline
func leakDescriptor() {
	kept = append(kept, must(os.Open("/dev/null")))
}

//go:noinline
func churnDescriptor() {
	must(os.Open("/dev/null")).Close()
}

//go:noinline
func leakSocket() {
	kept = append(kept, must(net.ListenPacket("udp", "127.0.0.1:0")))
}

//go:noinline
func churnSocket() {
	must(net.ListenPacket("udp", "127.0.0.1:0")).Close()
}

// The runtime makes threads when it needs them, on stacks of its own: which function keeps one shows where the thread
// waits, not where it was made.
func startLeakThread() {
	go waitForReply()
}

//go:noinline
func waitForReply() {
	leakThread()
}

//go:noinline
func leakThread() {
	must(syscall.Read(never[0], make([]byte, 1)))
}

//go:noinline
func churnThread() {
	done := make(chan struct{})
	go func() {
		// A goroutine that ends with its thread locked ends the thread.
		runtime.LockOSThread()
		close(done)
	}()
	<-done
}

//go:noinline
func leakMapping() {
	touch(must(syscall.Mmap(-1, 0, mapping, readWrite, anonymous)))
}

//go:noinline
func churnMapping() {
	memory := must(syscall.Mmap(-1, 0, mapping, readWrite, anonymous))
	touch(memory)
	must(0, syscall.Munmap(memory))
}

func touch(memory []byte) {
	for i := range memory {
		memory[i] = 1
	}
}

//go:noinline
func serveRequest(m mode, leaks bool) {
	handleOrder(m, leaks)
}

//go:noinline
func handleOrder(m mode, leaks bool) {
	if leaks {
		loadCustomer(m)
	}
	for i := 0; i < churn; i++ {
		priceItems(m)
	}
}

//go:noinline
func loadCustomer(m mode) { m.leak() }

//go:noinline
func priceItems(m mode) { m.churn() }

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: leak fd|socket|thread|mmap RATE SECONDS")
		os.Exit(2)
	}
	must(0, syscall.Pipe(never[:]))
	rate := must(strconv.Atoi(os.Args[2]))
	seconds := must(strconv.Atoi(os.Args[3]))
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	for i := 0; i < rate*seconds; i++ {
		serveRequest(modes[os.Args[1]], i < held)
		<-ticker.C
	}
}
