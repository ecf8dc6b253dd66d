package flows

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseFlow reads one line as ovs-ofctl prints it over OpenFlow 1.4, with or
// without statistics, with table names or numbers, and normalises it: the
// flow's String is the same for all of these. Ports must be numbers
// (--no-names): their names are OVSDB's matter. Statistics and timeouts are
// dropped. The error names the field that is wrong.
func ParseFlow(line string) (Flow, error) {
	f, err := parseFlow(strings.TrimSpace(line))
	if err != nil {
		return Flow{}, fmt.Errorf("parse flow %q: %w", line, err)
	}
	return f, nil
}

func parseFlow(line string) (Flow, error) {
	f := Flow{Priority: defaultPriority}
	head, actions, ok := strings.Cut(line, "actions=")
	if !ok || actions == "" {
		return f, fmt.Errorf("no actions=")
	}
	if strings.TrimSpace(actions) != actions || strings.ContainsAny(line, "\n\r\x00") {
		return f, fmt.Errorf("stray space in or around the actions")
	}
	if err := f.setHead(head); err != nil {
		return f, err
	}
	var err error
	f.Actions, err = nameTables(actions)
	return f, err
}

// setHead takes what comes before the actions: properties, and the terms of the
// match. As OVS prints it the match is one piece of the text, which needs no copy.
func (f *Flow) setHead(head string) error {
	from, to := 0, 0 // the piece that is the match so far
	for at := 0; at < len(head); at++ {
		end := upTo(head, at, ',', ' ')
		token := head[at:end]
		known, err := f.setProperty(token)
		switch {
		case err != nil:
			return err
		case known, token == "":
		case f.Match == "":
			from, to, f.Match = at, end, token
		case from < to && at == to+1 && head[to] == ',':
			to, f.Match = end, head[from:end]
		default:
			from, to, f.Match = 0, 0, f.Match+","+token
		}
		at = end
	}
	return nil
}

// upTo returns where the first of two characters is from a place on, or the end.
func upTo(text string, from int, a, b byte) int {
	for from < len(text) && text[from] != a && text[from] != b {
		from++
	}
	return from
}

// setProperty takes a token that is not part of the match.
func (f *Flow) setProperty(token string) (known bool, err error) {
	key, value, _ := strings.Cut(token, "=")
	switch key {
	case "cookie":
		f.Cookie, err = ParseCookie(value)
	case "table":
		f.Table, err = ParseTableID(value)
	case "priority":
		var p uint64
		if p, err = strconv.ParseUint(value, 10, 16); err != nil {
			err = fmt.Errorf("priority %q: must be 0 to 65535", value)
		}
		f.Priority = uint16(p)
	case "duration", "n_packets", "n_bytes", "idle_age", "hard_age",
		"idle_timeout", "hard_timeout", "importance",
		"send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts":
	default:
		return false, nil
	}
	return true, err
}

// nameTables replaces table numbers in actions by names, as --names prints.
func nameTables(actions string) (string, error) {
	for _, where := range []string{"goto_table:", "(table=", ",table="} {
		for from := 0; ; {
			i := strings.Index(actions[from:], where)
			if i < 0 {
				break
			}
			start := from + i + len(where)
			end := upTo(actions, start, ',', ')')
			id, err := ParseTableID(actions[start:end])
			if err != nil {
				return "", fmt.Errorf("actions: %w", err)
			}
			name := id.String()
			if actions[start:end] != name {
				actions = actions[:start] + name + actions[end:]
			}
			from = start + len(name)
		}
	}
	return actions, nil
}
