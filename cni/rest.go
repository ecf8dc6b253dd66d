package cni

import (
	"net/netip"
	"os"
	"strings"
	"time"
)

// rests reports whether an address was somebody's too short a time ago.
func (s *store) rests(address, container string) bool {
	if s.ignoreRest {
		return false
	}
	until, last, err := s.restOf(address)
	return err == nil && until > 0 && (!s.wanted || last != container)
}

// restOf returns for how much longer an address rests, and whose it was.
func (s *store) restOf(address string) (left time.Duration, last string, err error) {
	file := s.path(resting, address)
	info, err := os.Stat(file)
	if err != nil {
		return 0, "", err
	}
	text, err := os.ReadFile(file)
	last, _, _ = strings.Cut(string(text), lineBreak)
	now := time.Now()
	since := now.Sub(info.ModTime())
	if since < 0 { // the clock was set back, and nobody knows since when it rests: so from now on
		_ = os.Chtimes(file, now, now)
		since = 0
	}
	return s.rest - since, last, err
}

// longestRested returns the address of those that are free that has rested for
// the longest time, or false if none rests.
func (s *store) longestRested(among netip.Prefix) (longest netip.Addr, found bool) {
	entries, err := os.ReadDir(s.path(resting))
	if err != nil {
		return longest, false
	}
	var since time.Time
	for _, e := range entries {
		ip, err := netip.ParseAddr(e.Name())
		if err != nil || !among.Contains(ip) {
			continue
		}
		info, err := e.Info()
		if _, taken := os.Lstat(s.path(e.Name())); err != nil || taken == nil {
			continue
		}
		if !found || info.ModTime().Before(since) {
			longest, since, found = ip, info.ModTime(), true
		}
	}
	return longest, found
}

// spent reports whether every address that a container can have is somebody's or
// rests.
func (s *store) spent(subnet netip.Prefix) bool {
	first, last := ends(subnet)
	for ip := first; !last.Less(ip); ip = ip.Next() {
		_, free := os.Lstat(s.path(ip.String()))
		left, _, rested := s.restOf(ip.String())
		if free != nil && (rested != nil || left <= 0) {
			return false
		}
	}
	return true
}
