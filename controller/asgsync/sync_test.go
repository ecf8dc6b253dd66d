package asgsync_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weft-sdn/weft/api"
	"github.com/weft-sdn/weft/controller"
	"github.com/weft-sdn/weft/controller/asgsync"
	"github.com/weft-sdn/weft/controller/cloudfoundry"
	"github.com/weft-sdn/weft/controller/gormstore"
	"github.com/weft-sdn/weft/testbed/cfstub"
	"github.com/weft-sdn/weft/testbed/logbook"
)

// bed is a Cloud Foundry, a controller with its database, and what copies
// security groups from one to the other.
type bed struct {
	*cfstub.Stub
	control *controller.Controller
	t       *testing.T
	log     logbook.Logbook
}

// newBed starts all of them. wrap may change what Cloud Controller answers.
func newBed(t *testing.T, wrap func(asgsync.Source) asgsync.Source) *bed {
	t.Helper()
	b := &bed{Stub: cfstub.New(t), t: t}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	networks := []netip.Prefix{netip.MustParsePrefix("10.255.0.0/16")}
	store, err := gormstore.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "weft.db"), gormstore.Options{Networks: networks, SubnetPrefix: 24, MaxGroup: 65535, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b.control, err = controller.New(t.Context(), store, controller.Overlay{Networks: networks, SubnetPrefix: 24, VNI: 1, VXLANPort: 4789, SecurityGroups: true}, log)
	if err != nil {
		t.Fatal(err)
	}
	uaa, err := cloudfoundry.NewUAA(cloudfoundry.UAAConfig{URL: b.UAA.URL, ClientID: cfstub.ClientID, ClientSecret: cfstub.ClientSecret, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := cloudfoundry.NewCloudController(b.CC.URL, "", uaa)
	if err != nil {
		t.Fatal(err)
	}
	source := asgsync.Source(cloud)
	if wrap != nil {
		source = wrap(cloud)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.control.Run(ctx) }) // it never fails
	running.Go(func() { (&asgsync.Syncer{Source: source, Sink: b.control, Log: log}).Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func group(guid, destination string) cfstub.SecurityGroup {
	return cfstub.SecurityGroup{GUID: guid, Name: guid, RunningDefault: true, Rules: []map[string]any{{"protocol": "all", "destination": destination}}}
}

// have returns the controller's groups as text.
func (b *bed) have() string {
	groups, _, err := b.control.SecurityGroups(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var texts []string
	for _, g := range groups {
		texts = append(texts, g.GUID+" "+g.Rules)
	}
	return strings.Join(texts, "; ")
}

func rules(guid, destination string) string {
	return fmt.Sprintf(`%s [{"destination":"%s","protocol":"all"}]`, guid, destination)
}

// soon waits until the controller has the groups, for less than five seconds.
func (b *bed) soon(want string) {
	b.t.Helper()
	for begin := time.Now(); b.have() != want; time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 4500*time.Millisecond {
			b.t.Fatalf("the controller has %q after %v, not %q\n%s", b.have(), time.Since(begin), want, b.log.String())
		}
	}
}

// looks waits until Cloud Controller was asked so many times more whether
// something has changed.
func (b *bed) looks(n int) {
	b.t.Helper()
	const path = "/internal/v4/asg_latest_update"
	from, begin := b.CC.Calls(path), time.Now()
	for b.CC.Calls(path) < from+n {
		if time.Since(begin) > 20*time.Second {
			b.t.Fatal("cloud controller is not asked any more")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestChangesArrive: at the start, when something changes, and when it changes
// twice within the second that Cloud Controller tells of; then all is left alone.
func TestChangesArrive(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.soon("")
	b.SetSecurityGroups(group("dns", "10.0.0.53"), group("db", "10.0.0.1"))
	b.soon(rules("dns", "10.0.0.53") + "; " + rules("db", "10.0.0.1"))
	b.SetSecurityGroupsSilently(group("dns", "10.0.0.54"))
	b.soon(rules("dns", "10.0.0.54"))
	b.looks(3)
	before := b.CC.Calls("/v3/security_groups")
	b.looks(2)
	if after := b.CC.Calls("/v3/security_groups"); after != before {
		t.Errorf("nothing changes, and all groups were read %d times", after-before)
	}
	b.SetSecurityGroups() // none at all, and validly so
	b.soon("")
}

// TestWithoutLatestUpdate: a Cloud Controller that does not tell is read again
// and again.
func TestWithoutLatestUpdate(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.WithoutLatestUpdate()
	b.SetSecurityGroups(group("dns", "10.0.0.53"))
	b.soon(rules("dns", "10.0.0.53"))
	b.SetSecurityGroups(group("dns", "10.0.0.54"))
	b.soon(rules("dns", "10.0.0.54"))
}

// TestBrokenAnswersChangeNothing: whatever Cloud Controller answers that is not
// a complete list, the groups stay. The log says it once.
func TestBrokenAnswersChangeNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t, nil)
	b.SetSecurityGroups(group("dns", "10.0.0.53"))
	b.soon(rules("dns", "10.0.0.53"))
	b.looks(2)
	const list = "/v3/security_groups"
	for _, answer := range []string{
		`{}`, `not JSON`, `{"resources":[],"pagination":{"total_results":1}}`, `{"resources":[{"guid":"x","rules":[]},{"guid":"x","rules":[]}]}`,
	} {
		b.CC.Answer(list, answer)
		b.SetSecurityGroups(group("dns", "10.0.0.53"), group("db", "10.0.0.1")) // a new time
		from := b.CC.Calls(list)
		for b.CC.Calls(list) == from {
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond) // for what comes of the answer
		if got := b.have(); got != rules("dns", "10.0.0.53") {
			t.Errorf("after %s there is %q", answer, got)
		}
	}
	b.CC.Stop()
	time.Sleep(100 * time.Millisecond)
	if got := b.have(); got != rules("dns", "10.0.0.53") {
		t.Errorf("without Cloud Controller there is %q", got)
	}
	b.CC.Resume(t)
	b.CC.Answer(list, "")
	b.soon(rules("dns", "10.0.0.53") + "; " + rules("db", "10.0.0.1"))
	if failed, over := strings.Count(b.log.String(), "keeping those that are known"), strings.Count(b.log.String(), "works again"); failed != 1 || over != 1 {
		t.Errorf("the log has %d failures and %d ends of them", failed, over)
	}
}

// changing is a Cloud Controller whose groups change each time that they are
// being read.
type changing struct {
	asgsync.Source
	change func()
}

func (c *changing) SecurityGroups(ctx context.Context) ([]api.SecurityGroup, error) {
	groups, err := c.Source.SecurityGroups(ctx)
	c.change()
	return groups, err
}

// TestChangingWhileRead: what was read while it changed is read anew.
func TestChangingWhileRead(t *testing.T) {
	t.Parallel()
	var b *bed
	left, ready := make(chan int, 1), make(chan struct{})
	left <- 4 // one more than there are attempts
	b = newBed(t, func(source asgsync.Source) asgsync.Source {
		return &changing{source, func() {
			<-ready
			if n := <-left; n > 0 {
				left <- n - 1
				b.SetSecurityGroups(group("dns", fmt.Sprintf("10.0.0.%d", n)))
			} else {
				left <- 0
			}
		}}
	})
	close(ready)
	b.soon(rules("dns", "10.0.0.1"))
	if n := strings.Count(b.log.String(), "they changed each of the 3 times"); n != 1 {
		t.Errorf("the log has %d attempts that failed", n)
	}
}
