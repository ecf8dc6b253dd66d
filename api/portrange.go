package api

import (
	"fmt"
	"strconv"
	"strings"
)

// ParsePorts reads a port or a range of ports, such as 8080 or 8080-8090. The
// error starts with the text in quotes.
func ParsePorts(text string) (Ports, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var ports Ports
	for _, end := range []struct {
		text string
		into *int
	}{{first, &ports.Start}, {last, &ports.End}} {
		n, err := strconv.Atoi(end.text)
		if err != nil || strings.HasPrefix(end.text, "+") {
			return Ports{}, fmt.Errorf("%q: %q is not a number: give a port or a range, such as 8080 or 8080-8090", text, end.text)
		}
		if n < 1 || n > 65535 {
			return Ports{}, fmt.Errorf("%q: %d must be in range 1-65535", text, n)
		}
		*end.into = n
	}
	if ports.Start > ports.End {
		return Ports{}, fmt.Errorf("%q: the range ends before it starts: did you mean %d-%d?", text, ports.End, ports.Start)
	}
	return ports, nil
}

// String is the inverse of ParsePorts.
func (p Ports) String() string {
	if p.Start == p.End {
		return strconv.Itoa(p.Start)
	}
	return fmt.Sprintf("%d-%d", p.Start, p.End)
}
