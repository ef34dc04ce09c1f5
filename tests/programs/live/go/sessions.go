// Grower: three sessions a second begin and stay, up to four hundred; each says something every two seconds.
package main

import (
	"io"
	"net"
	"time"
)

const (
	most  = 400
	pause = 2 * time.Second
)

func echo(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go io.Copy(connection, connection)
	}
}

func talk(connection net.Conn) {
	message := make([]byte, 100)
	for {
		if _, err := connection.Write(message); err != nil {
			panic(err)
		}
		if _, err := io.ReadFull(connection, message); err != nil {
			panic(err)
		}
		time.Sleep(pause)
	}
}

//go:noinline
func openSession(address string) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	go talk(connection)
}

func main() {
	load := fromCommandLine()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go echo(listener)
	load.serve(func(i int) {
		if i < most {
			openSession(listener.Addr().String())
		}
	})
}
