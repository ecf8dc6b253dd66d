package e2e

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
	"github.com/weft-sdn/weft/testbed/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, 12*time.Minute)) }

var start = sync.OnceValues(func() (*testbed.Bed, error) { return testbed.Start(testbed.Options{}) })

// bed returns the shared bed as this test sees it.
func bed(t *testing.T) *testbed.Bed {
	t.Helper()
	b, err := start()
	if err != nil {
		t.Fatal(err)
	}
	return b.For(t)
}
