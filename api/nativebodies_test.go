package api_test

import (
	"runtime"
	"strings"
	"testing"
)

// TestExpensiveNativeBodies: the longest that are allowed, of the cheapest
// parts, are refused within a fraction of a gigabyte.
func TestExpensiveNativeBodies(t *testing.T) {
	x := newExternal()
	fill := func(begin, again, end string) string {
		return begin + strings.Repeat(again, (10<<20-len(begin)-len(end))/len(again)) + end
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/weft/v1/policies", fill(`{"policies":[{}`, ",{}", `]}`)},
		{"PUT", "/weft/v1/sets/shop", fill(`{"policies":[null`, ",{}", `]}`)},
		{"PUT", "/weft/v1/sets/shop?dry_run=true", fill(`{"policies":[{"labels":{"":""`, `,"":""`, `}}]}`)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := x.call(c.method, c.path, c.body)
		runtime.ReadMemStats(&after)
		if w.Code != 400 || w.Body.Len() > 4<<10 {
			t.Errorf("%s %.40s: %d, %d bytes: %.200s", c.path, c.body, w.Code, w.Body.Len(), w.Body)
		}
		if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 256 {
			t.Errorf("%s %.40s: took %d MiB", c.path, c.body, allocated)
		}
	}
}
