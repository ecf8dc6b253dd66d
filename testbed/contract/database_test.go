package contract

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/mariadb"
)

// TestDatabaseDown holds 1.13 for the database, and that the controller comes
// back with it.
func TestDatabaseDown(t *testing.T) {
	db, err := mariadb.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Remove()
	if err := db.Exec("", "CREATE DATABASE weft"); err != nil {
		t.Fatal(err)
	}
	b := newBed(t, db.DSN("weft"))
	b.play(step{"1.8", "admin", post, body("cats dogs 1", "cats ghosts 1"), 200, `{}`})
	db.Kill()
	b.play(
		step{"1.13", "", "GET /health", "", 500, wrong("check database failed")},
		step{"1.13", "admin", get, "", 500, wrong("database read failed")},
		step{"1.13", "admin", get + "?id=cats", "", 500, wrong("database read failed")},
		step{"1.13", "ann", get, "", 500, wrong("database read failed")},
		step{"1.13", "admin", tags, "", 500, wrong("database read failed")},
		step{"1.13", "admin", post, body("cats dogs 2"), 500, wrong("database create failed")},
		step{"1.13", "ann", post, body("cats dogs 2"), 500, wrong("check quota failed")},
		step{"1.13", "ann", remove, body("cats dogs 1"), 500, wrong("database delete failed")},
		step{"1.13", "admin", clean, "", 500, wrong("policies cleanup failed")},
		step{"1.13", "admin", whoami, "", 200, `{"subject":"root"}`},
		step{"1.13", "admin", post, "bad", 400, wrong("mapper: unmarshal json: invalid character 'b' looking for beginning of value")},
	)
	if got := b.call("", "GET /", ""); got.status != 200 {
		t.Errorf("uptime: %d", got.status)
	}
	if err := db.Run(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); b.call("", "GET /health", "").status != 200; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the controller does not come back")
		}
	}
	b.play(
		step{"1.13", "ann", post, body("cats dogs 3"), 200, `{}`},
		step{"1.13", "admin", get, "", 200, list("cats dogs 1", "cats ghosts 1", "cats dogs 3")},
	)
}

// TestReplicas: two controllers on one database. What one acknowledged the
// other lists at once, and a quota holds for both together.
func TestReplicas(t *testing.T) {
	db, schema := mariadb.Schema(t)
	one := newBed(t, db.DSN(schema), func(c *server.Config) { c.MaxPoliciesPerAppSource = 5 })
	two := *one
	two.start()
	for i := range 10 {
		write, read := one, &two
		if i%2 == 1 {
			write, read = &two, one
		}
		p := fmt.Sprintf("wolves dogs %d", i+1)
		write.play(step{"1.8", "admin", post, body(p), 200, `{}`})
		read.play(
			step{"1.11", "admin", get + "?source_id=wolves", "", 200, list(p)},
			step{"1.12", "admin", tags, "", 200, tagList("wolves 0001", "dogs 0002")},
			step{"1.8", "admin", remove, body(p), 200, `{}`},
		)
	}
	one.inQuota(5, one, &two)
}

// TestQuotaAtOnce holds 1.10 for requests at the same moment.
func TestQuotaAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) { b.inQuota(7, b) }, func(c *server.Config) { c.MaxPoliciesPerAppSource = 7 })
}

// inQuota makes twenty policies at once, by the replicas in turn, of which only
// most may succeed.
func (b *bed) inQuota(most int, replicas ...*bed) {
	b.t.Helper()
	var asking sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for i := range 20 {
		asking.Go(func() {
			got := replicas[i%len(replicas)].call("ann", post, body(fmt.Sprintf("cats dogs %d", i+1)))
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprintf("%d %s", got.status, got.body)]++
		})
	}
	asking.Wait()
	if len(answers) != 2 || answers["200 {}"] != most || answers["403 "+exceeded] != 20-most {
		b.t.Errorf("section 1.10: with at most %d, 20 requests at once were answered %v", most, answers)
	}
}
