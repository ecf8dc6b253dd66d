package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/weft-sdn/weft/controller/server"
	"github.com/weft-sdn/weft/testbed/cfstub"
)

const (
	denied   = `{"error": "one or more applications cannot be found or accessed"}`
	exceeded = `{"error": "policy quota exceeded"}`
)

// TestDevelopers holds 1.9: what a space developer may write and see.
func TestDevelopers(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.9", "ann", post, body("cats dogs 80"), 200, `{}`},
			step{"1.9", "robot", post, body("dogs cats 80"), 200, `{}`}, // a client, by its sub
			step{"1.9", "ann", post, body("cats wolves 80"), 403, denied},
			step{"1.9", "ann", post, body("wolves cats 80"), 403, denied},
			step{"1.9", "ann", post, body("cats dogs 81", "cats wolves 80"), 403, denied},
			step{"1.9", "ann", post, body("cats ghosts 80"), 403, denied},   // on purpose: upstream takes it
			step{"1.9", "ann", post, body("ghosts ghosts 80"), 403, denied}, // the same
			step{"1.9", "ann", remove, body("cats wolves 80"), 403, denied},
			step{"1.9", "ben", post, body("cats dogs 80"), 403, denied},
			step{"1.9", "admin", post, body("ghosts wolves 80", "cats wolves 80"), 200, `{}`},
			step{"1.9", "ann", get, "", 200, list("cats dogs 80", "dogs cats 80")},
			step{"1.9", "ann", get + "?id=wolves", "", 200, list()},
			step{"1.9", "ann", get + "?source_id=cats", "", 200, list("cats dogs 80")},
			step{"1.9", "ben", get, "", 200, list()},
			step{"1.9", "ann", remove, body("cats dogs 80", "dogs cats 80"), 200, `{}`},
			step{"1.9", "admin", get, "", 200, list("ghosts wolves 80", "cats wolves 80")},
		)
		for _, line := range []string{`"msg":"created-policies","userName":"ann","policies":[` + some("cats dogs 80") + `]`, `"msg":"deleted-policies","userName":"ann"`} {
			if !strings.Contains(b.log.String(), line) {
				t.Errorf("section 1.8: the log does not hold %s", line)
			}
		}
	})
}

// TestQuota holds 1.10 with what differs on purpose.
func TestQuota(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.10", "ann", post, body("cats dogs 1", "cats dogs 2"), 200, `{}`},
			step{"1.10", "ann", post, body("cats dogs 3", "cats dogs 4"), 403, exceeded},
			step{"1.10", "ann", post, body("cats dogs 3"), 200, `{}`},
			step{"1.10", "ann", post, body("cats dogs 4"), 403, exceeded},
			step{"1.10", "ann", post, body("cats dogs 1"), 200, `{}`},                  // on purpose: it adds nothing
			step{"1.10", "admin", post, body("cats dogs 4", "dogs cats 1"), 200, `{}`}, // admins have none
			step{"1.10", "ann", post, body("dogs cats 2"), 200, `{}`},                  // on purpose: cats is only the destination
			step{"1.10", "ann", post, body("dogs cats 3", "cats dogs 9"), 403, exceeded},
			step{"1.10", "ann", post, body("cats ghosts 9"), 403, denied}, // the guard comes first
			step{"1.10", "ann", get + "?source_id=dogs", "", 200, list("dogs cats 1", "dogs cats 2")},
			step{"1.10", "ann", remove, body("cats dogs 1", "cats dogs 2"), 200, `{}`},
			step{"1.10", "ann", post, body("cats dogs 9"), 200, `{}`},
		)
	}, func(c *server.Config) { c.MaxPoliciesPerAppSource = 3 })
}

// TestCleanup holds 1.12: policies of apps that are gone.
func TestCleanup(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.play(
			step{"1.12", "admin", clean, "", 200, list()},
			step{"1.12", "admin", post, body("cats dogs 1", "cats ghosts 2-3", "wolves cats 4"), 200, `{}`},
			step{"1.12", "admin", clean, "ignored", 200, list("cats ghosts 2-3")},
			step{"1.12", "admin", clean, "", 200, list()},
		)
		b.cf.RemoveApp("wolves")
		b.play(
			step{"1.12", "admin", "POST " + v0 + "/policies/cleanup", "", 200, list("wolves cats 4")},
			step{"1.12", "admin", get, "", 200, list("cats dogs 1")},
		)
	})
}

// TestCleanupByItself: without anybody asking, and also after a failure.
func TestCleanupByItself(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		b.cf.CC.Fail(500)
		b.play(step{"1.12", "admin", post, body("cats dogs 1", "cats ghosts 2"), 200, `{}`})
		time.Sleep(1500 * time.Millisecond) // a run that fails
		b.play(step{"1.12", "admin", get, "", 200, list("cats dogs 1", "cats ghosts 2")})
		b.cf.CC.Fail(0)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if got := b.call("admin", get, "").body; got == list("cats dogs 1") {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("after 20 s there is still %s", got)
			}
		}
	}, func(c *server.Config) { c.CleanupInterval = time.Second })
}

// TestPlatformDown holds 1.13 for UAA and Cloud Controller.
func TestPlatformDown(t *testing.T) {
	onEach(t, func(t *testing.T, b *bed) {
		for _, down := range []func(*cfstub.Service){
			(*cfstub.Service).Stop, func(s *cfstub.Service) { s.Fail(500) },
		} {
			down(b.cf.CC)
			b.play(
				step{"1.13", "admin", remove, body("cats dogs 1"), 200, `{}`}, // also where there is nothing to ask about
				step{"1.13", "admin", clean, "", 500, wrong("policies cleanup failed")},
				step{"1.13", "ben", get, "", 500, wrong("filter policies failed")},
				step{"1.13", "", "GET /health", "", 200, ""},
				step{"1.13", "admin", post, body("cats dogs 1"), 200, `{}`},
				step{"1.13", "admin", get, "", 200, list("cats dogs 1")},
				step{"1.13", "admin", remove, body("cats dogs 2"), 200, `{}`},
				step{"1.13", "admin", whoami, "", 200, `{"subject":"root"}`},
				step{"1.13", "admin", clean, "", 500, wrong("policies cleanup failed")},
				step{"1.13", "ben", get, "", 500, wrong("filter policies failed")},
				step{"1.13", "ben", post, body("cats wolves 1"), 500, wrong("check access failed")},
				step{"1.13", "ben", remove, body("cats wolves 1"), 500, wrong("check access failed")},
			)
			b.cf.CC.Fail(0)
		}
		b.cf.CC.Resume(t)
		b.cf.UAA.Stop()
		for _, request := range []string{get, post, remove, clean, tags, whoami} {
			b.play(step{"1.13", "admin", request, body("cats dogs 1"), 401, wrong("failed to verify token with uaa")})
		}
		b.play(step{"1.13", "", "GET /health", "", 200, ""})
		b.cf.UAA.Resume(t)
		b.play(
			step{"1.13", "ann", post, body("cats dogs 2"), 200, `{}`},
			step{"1.13", "ann", get, "", 200, list("cats dogs 1", "cats dogs 2")},
		)
	})
}
