// server ADDRESS
//
// Answers HTTP requests, one for each connection, after asking a backend over a new connection of its own; forgets to
// close one connection in a hundred.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

const forgotten = 100

type shop struct {
	backend  string
	requests atomic.Int64
	kept     chan net.Conn
}

func (s *shop) askBackend() ([]byte, error) {
	connection, err := net.Dial("unix", s.backend)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return io.ReadAll(connection)
}

func (s *shop) ServeHTTP(writer http.ResponseWriter, _ *http.Request) {
	price, err := s.askBackend()
	if err != nil {
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	if s.requests.Add(1)%forgotten != 0 {
		writer.Header().Set("Connection", "close")
		writer.Write(price)
		return
	}
	connection, _, err := writer.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	io.WriteString(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n42")
	// The garbage collector closes what nothing refers to.
	s.kept <- connection
}

func serveBackend(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		io.WriteString(connection, "42")
		connection.Close()
	}
}

func main() {
	// An abstract socket: no file remains.
	handler := &shop{backend: fmt.Sprintf("@leakwatch-shop-%d", os.Getpid()), kept: make(chan net.Conn, 1<<20)}
	backend, err := net.Listen("unix", handler.backend)
	if err != nil {
		panic(err)
	}
	go serveBackend(backend)
	panic(http.ListenAndServe(os.Args[1], handler))
}
