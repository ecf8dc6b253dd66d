package cni

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// book is a folder of addresses of 10.255.1.8/29, which has six for containers.
type book struct {
	t *testing.T
	addresses
	lease Lease
}

func newBook(t *testing.T, rest time.Duration) *book {
	return &book{t, addresses{t.TempDir(), "br-weft"}, Lease{Subnet: netip.MustParsePrefix("10.255.1.8/29"), Rest: rest}}
}

func (b *book) try(want Attachment) (string, error) {
	if want.IfName == "" {
		want.IfName = "eth0"
	}
	ip, err := b.reserve(b.lease, want)
	return ip.String(), err
}

func (b *book) take(containers ...string) (got []string) {
	b.t.Helper()
	for _, c := range containers {
		ip, err := b.try(Attachment{Container: c, Network: "weft"})
		if err != nil {
			b.t.Fatalf("%s: %v", c, err)
		}
		got = append(got, ip)
	}
	return got
}

func (b *book) give(containers ...string) {
	b.t.Helper()
	for _, c := range containers {
		if err := b.release(c, "eth0"); err != nil {
			b.t.Fatal(err)
		}
	}
}

// lapse makes an address rest since so long ago.
func (b *book) lapse(ip string, ago time.Duration) {
	b.t.Helper()
	at := time.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(b.folder(), resting, ip), at, at); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) refused(want Attachment, code uint, text string) {
	b.t.Helper()
	_, err := b.try(want)
	var coded *types.Error
	if !errors.As(err, &coded) || coded.Code != code || !strings.Contains(coded.Msg, text) || coded.Details == "" {
		b.t.Errorf("%+v: %#v, expected code %d and %q", want, err, code, text)
	}
}

// TestLeaseIsUsedToTheLastAddress: all but the first and the last, each once,
// round and round.
func TestLeaseIsUsedToTheLastAddress(t *testing.T) {
	b := newBook(t, 0)
	if got, want := b.take("1", "2", "3", "4", "5", "6"), "10.255.1.9 10.255.1.10 10.255.1.11 10.255.1.12 10.255.1.13 10.255.1.14"; strings.Join(got, " ") != want {
		t.Errorf("reserved %v, expected %s", got, want)
	}
	b.refused(Attachment{Container: "7"}, CodeExhausted, "10.255.1.8/29 is exhausted")
	b.give("2", "5")
	if got := b.take("8", "9"); !slices.Equal(got, []string{"10.255.1.10", "10.255.1.13"}) {
		t.Errorf("after two were released: %v", got)
	}
	b.give("5")
	if err := (addresses{"/nonexistent", "x"}).release("5", "eth0"); err != nil {
		t.Errorf("releasing what is not held: %v", err)
	}
}

// TestReleasedAddressRests: nobody gets it before its time, unless all others
// are taken; then it is the one that has rested for the longest.
func TestReleasedAddressRests(t *testing.T) {
	b := newBook(t, time.Minute)
	b.take("1", "2", "3", "4", "5")
	b.give("2", "4", "3")
	b.lapse("10.255.1.12", 40*time.Second)
	b.lapse("10.255.1.11", 30*time.Second)
	b.lapse("10.255.1.10", 20*time.Second)
	if got := b.take("6", "7", "8"); !slices.Equal(got, []string{"10.255.1.14", "10.255.1.12", "10.255.1.11"}) {
		t.Errorf("got %v, expected the last that is free, then those that rest, the longest first", got)
	}
	b.give("1")
	b.lapse("10.255.1.10", 61*time.Second)
	if got := b.take("9"); got[0] != "10.255.1.10" {
		t.Errorf("got %v, expected the one whose rest is over", got)
	}
	b.lapse("10.255.1.9", -time.Hour) // the clock was set back
	if got := b.take("10"); got[0] != "10.255.1.9" {
		t.Errorf("got %v, expected the last one", got)
	}
	b.refused(Attachment{Container: "11"}, CodeExhausted, "is exhausted")
}

// TestAskedAddress: the one that the runtime wants, or the reason why not.
func TestAskedAddress(t *testing.T) {
	b := newBook(t, time.Minute)
	wants := func(container, ip string) Attachment {
		return Attachment{Container: container, Wanted: netip.MustParseAddr(ip)}
	}
	if got, err := b.try(wants("first", "10.255.1.13")); err != nil || got != "10.255.1.13" {
		t.Errorf("got %s, %v", got, err)
	}
	b.refused(wants("second", "10.255.1.13"), CodeTaken, "address 10.255.1.13 is that of container first (eth0)")
	b.refused(wants("first", "10.255.1.12"), CodeDuplicate, `container "first" has an interface "eth0" already`)
	b.refused(Attachment{Container: "first"}, CodeDuplicate, `container "first" has an interface "eth0" already`)
	b.give("first")
	b.refused(wants("second", "10.255.1.13"), types.ErrTryAgainLater, "address 10.255.1.13 was container first's, and rests for another 1m0s")
	if got, err := b.try(wants("first", "10.255.1.13")); err != nil || got != "10.255.1.13" {
		t.Errorf("its own address again: %s, %v", got, err)
	}
	b.give("first")
	b.lapse("10.255.1.13", time.Hour)
	if got, err := b.try(wants("second", "10.255.1.13")); err != nil || got != "10.255.1.13" {
		t.Errorf("after its rest: %s, %v", got, err)
	}
}

// TestAskedAddressOfASpentLease: where all others are taken or rest, too, a new
// container gets the one that it asks for, as one would that asks for none.
func TestAskedAddressOfASpentLease(t *testing.T) {
	b := newBook(t, time.Minute)
	b.take("1", "2", "3", "4", "5")
	b.give("2", "4")
	wants := Attachment{Container: "new", Wanted: netip.MustParseAddr("10.255.1.12")}
	b.refused(wants, types.ErrTryAgainLater, "rests for another 1m0s") // 10.255.1.14 is free
	b.take("6")
	b.refused(Attachment{Container: "other", Wanted: netip.MustParseAddr("10.255.1.9")}, CodeTaken, "is that of container 1")
	if got, err := b.try(wants); err != nil || got != "10.255.1.12" {
		t.Errorf("got %s, %v", got, err)
	}
	b.refused(Attachment{Container: "new", Wanted: netip.MustParseAddr("10.255.1.10")}, CodeDuplicate, `container "new" has an interface "eth0" already`)
}

// TestRestAfterTheClockWasSetBack: an address that seems to rest since tomorrow
// rests once more, from when it is asked for, and not until tomorrow.
func TestRestAfterTheClockWasSetBack(t *testing.T) {
	b := newBook(t, time.Minute)
	wants := func(container string) Attachment {
		return Attachment{Container: container, Wanted: netip.MustParseAddr("10.255.1.13")}
	}
	if _, err := b.try(wants("first")); err != nil {
		t.Fatal(err)
	}
	b.give("first")
	b.lapse("10.255.1.13", -24*time.Hour)
	b.refused(wants("second"), types.ErrTryAgainLater, "rests for another 1m0s")
	b.lease.Rest = time.Nanosecond
	if got, err := b.try(wants("second")); err != nil || got != "10.255.1.13" {
		t.Errorf("after its rest: %s, %v", got, err)
	}
}

// TestReservationsOfAnotherBootAreNobodys: no container outlives the kernel.
func TestReservationsOfAnotherBootAreNobodys(t *testing.T) {
	b := newBook(t, time.Minute)
	b.take("1", "2", "3")
	b.give("3")
	if err := os.WriteFile(filepath.Join(b.folder(), bootFile), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.take("1", "4"); !slices.Equal(got, []string{"10.255.1.12", "10.255.1.13"}) {
		t.Errorf("got %v, expected that container 1 may have one, and that the lease goes round", got)
	}
	if ip, err := b.held("2", "eth0"); err != nil || ip.IsValid() {
		t.Errorf("container 2 holds %v, %v", ip, err)
	}
}

// TestOlderReservations: those of a version that knew no owners are found, kept
// and released.
func TestOlderReservations(t *testing.T) {
	b := newBook(t, 0)
	if err := os.MkdirAll(b.folder(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.folder(), "10.255.1.9"), []byte("old\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.take("new"); got[0] != "10.255.1.10" {
		t.Errorf("got %v, expected the one after the older one's", got)
	}
	if ip, err := b.held("old", "eth0"); err != nil || ip.String() != "10.255.1.9" {
		t.Errorf("the older one holds %v, %v", ip, err)
	}
	b.give("old")
	if ip, err := b.held("old", "eth0"); err != nil || ip.IsValid() {
		t.Errorf("after its release it holds %v, %v", ip, err)
	}
}

// TestCrashBetweenNames: whatever a killed plugin has left of a reservation,
// nobody's address is lost, and nobody is taken for another.
func TestCrashBetweenNames(t *testing.T) {
	b := newBook(t, 0)
	b.take("1")
	for what, left := range map[string]func() error{
		"a reservation in the making": func() error { return os.WriteFile(filepath.Join(b.folder(), unlinked), []byte("half"), 0o600) },
		"an owner of nothing": func() error {
			return os.Symlink("10.255.1.12", filepath.Join(b.folder(), owners, hostName("2", "eth0")))
		},
		"an owner of another's": func() error {
			return os.Symlink("10.255.1.9", filepath.Join(b.folder(), owners, hostName("3", "eth0")))
		},
	} {
		if err := left(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	b.give("2", "3") // DEL of what was never there
	if ip, err := b.held("1", "eth0"); err != nil || ip.String() != "10.255.1.9" {
		t.Errorf("container 1 holds %v, %v", ip, err)
	}
	if got := b.take("2", "3", "4", "5", "6"); len(got) != 5 {
		t.Errorf("got %v", got)
	}
}

// TestTwoInterfacesOfOneContainer: each has its address, and goes alone.
func TestTwoInterfacesOfOneContainer(t *testing.T) {
	b := newBook(t, 0)
	for _, ifName := range []string{"eth0", "eth1"} {
		if _, err := b.try(Attachment{Container: "both", IfName: ifName}); err != nil {
			t.Fatal(err)
		}
	}
	b.give("both")
	if ip, err := b.held("both", "eth1"); err != nil || ip.String() != "10.255.1.10" {
		t.Errorf("eth1 holds %v, %v", ip, err)
	}
}
