package mariadb

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// The server that a package's tests share.
var shared struct {
	sync.Mutex
	server  *Server
	schemas int
}

// Main runs a package's tests and ends the server that they shared.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Remove()
	}
	os.Exit(code)
}

// Schema makes an empty schema on the shared server. Tests that kill the server
// start one of their own.
func Schema(t testing.TB) (server *Server, name string) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		started, err := Start()
		if err != nil {
			t.Fatal(err)
		}
		shared.server = started
	}
	shared.schemas++
	name = fmt.Sprintf("test%d", shared.schemas)
	if err := shared.server.Exec("", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return shared.server, name
}
