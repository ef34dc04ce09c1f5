// Asks a service over HTTP; three answers in a hundred are not 200.
// leaky: the body of such an answer is not closed, and its connection is never used again.
package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
)

func service(writer http.ResponseWriter, request *http.Request) {
	if number(request.URL.Query().Get("item"))%33 == 0 {
		writer.WriteHeader(http.StatusNotFound)
	}
	io.WriteString(writer, "0123456789")
}

//go:noinline
func fetchItem(url string, fixed bool) ([]byte, bool) {
	response, err := http.Get(url)
	if err != nil {
		panic(err)
	}
	if response.StatusCode != http.StatusOK {
		if fixed {
			response.Body.Close()
		}
		return nil, false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	return body, true
}

func main() {
	load := fromCommandLine()
	server := httptest.NewServer(http.HandlerFunc(service))
	load.serve(func(i int) {
		fetchItem(server.URL+"/?item="+strconv.Itoa(i), load.fixed)
	})
}
