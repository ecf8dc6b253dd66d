package e2e

import (
	"testing"
	"time"

	"github.com/weft-sdn/weft/testbed"
)

// What runs on a connection stops when its policy is removed, in both
// directions: established TCP, TCP on which only the server sends, UDP, and a
// UDP server that pushes without being asked. On one cell and across cells. A
// TCP client is told.
func TestRevocationStopsEstablished(t *testing.T) {
	bed := bed(t)
	back, far, near := bed.Cell(2).Run("back"), bed.Cell(1).Run("front"), bed.Cell(2).Run("front")
	bed.Allow(far, back, "tcp/8080-8081")
	bed.Allow(far, back, "udp/8080-8081")
	var tcp, udp []*testbed.Traffic
	for _, front := range []*testbed.Container{far, near} {
		tcp = append(tcp, bed.Talk(front, back, "tcp/8080"), bed.Push(front, back, "tcp/8081"))
		udp = append(udp, bed.Talk(front, back, "udp/8080"), bed.Push(front, back, "udp/8081"))
	}
	bed.Deny(far, back, "tcp/8080-8081")
	bed.Deny(far, back, "udp/8080-8081")
	arrivals := []*testbed.Sniffer{back.Sniff(), far.Sniff(), near.Sniff()}
	for _, traffic := range append(tcp, udp...) {
		traffic.Stops(time.Second)
	}
	for _, s := range arrivals {
		for _, frame := range s.Frames() {
			if testbed.CarriesData(frame) {
				t.Errorf("after the policy was removed, arrived: %s", testbed.Describe(frame))
			}
		}
	}
	tcp[0].Reset()
	tcp[2].Reset()

	bed.Allow(far, back, "udp/8080-8081") // a client that goes on sending is heard again
	udp[0].Runs()
	udp[2].Runs()
}

// A connection that is only half made when its policy is removed is never
// completed: neither does the server hear of it again, nor the client of the
// server.
func TestRevocationStopsHalfOpen(t *testing.T) {
	bed := bed(t)
	back, far, near := bed.Cell(2).Run("back"), bed.Cell(1).Run("front"), bed.Cell(2).Run("front")
	bed.Allow(far, back, "tcp/8080-8081")
	var halves []*testbed.HalfOpen
	for _, front := range []*testbed.Container{far, near} {
		halves = append(halves, front.DeafServer(back, "tcp/8080"), front.DeafClient(back, "tcp/8081"))
	}
	bed.Deny(far, back, "tcp/8080-8081")
	atOnce(len(halves), func(n int) { halves[n].Refused() })
}

// An app that is deleted, with its policies and its containers, hears nothing
// more of what it had open, and is not heard.
func TestDeletedAppIsCut(t *testing.T) {
	bed := bed(t)
	cats, dogs, near := bed.Cell(1).Run("cats"), bed.Cell(2).Run("dogs"), bed.Cell(1).Run("dogs")
	bed.Allow(cats, dogs, "tcp/8080")
	bed.Allow(cats, dogs, "udp/8080")
	bed.Allow(dogs, cats, "udp/8081")
	running := []*testbed.Traffic{bed.Talk(cats, dogs, "tcp/8080"), bed.Talk(cats, near, "tcp/8080"),
		bed.Push(cats, dogs, "udp/8080"), bed.Push(cats, near, "udp/8080"), bed.Talk(dogs, cats, "udp/8081"), bed.Talk(near, cats, "udp/8081")}
	bed.DeleteApp(cats)
	for _, traffic := range running {
		traffic.Stops(time.Second)
	}
	arrivals := []*testbed.Sniffer{cats.Sniff(), dogs.Sniff(), near.Sniff()}
	if err := cats.Detach(); err != nil {
		t.Error(err)
	}
	time.Sleep(500 * time.Millisecond)
	for _, s := range arrivals {
		for _, frame := range s.Frames() {
			if testbed.CarriesData(frame) {
				t.Errorf("after the app was deleted, arrived: %s", testbed.Describe(frame))
			}
		}
	}
}
