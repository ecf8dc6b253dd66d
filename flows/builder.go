package flows

import (
	"fmt"

	"github.com/digitalocean/go-openvswitch/ovs"
)

// builder collects the flows of one fragment. Its methods, one or a few per
// table, are in the tables' files.
type builder struct {
	flows   []Flow
	text    []byte // scratch
	actions string // the last flow's: neighbours often do the same
}

// add appends a flow. It panics on a match or action that has no text, which
// is a mistake in this package, never in its input.
func (b *builder) add(at stage, match []term, actions ...ovs.Action) {
	b.flows = append(b.flows, Flow{
		Table:    at.table,
		Priority: at.priority,
		Cookie:   at.cookie,
		Match:    b.matchText(match),
		Actions:  b.actionText(actions),
	})
}

// stage is where a flow goes and what it is caused by.
type stage struct {
	table    TableID
	priority uint16
	cookie   Cookie
}

func (b *builder) matchText(match []term) string {
	var space [maxTerms]term
	terms := space[:0]
	for _, t := range match {
		switch {
		case t.needs == atIP:
			terms = insert(terms, isIP)
		case t.needs == atARP:
			terms = insert(terms, isARP)
		}
		terms = insert(terms, t)
	}
	b.text = b.text[:0]
	for i, t := range terms {
		if i > 0 {
			b.text = append(b.text, ',')
		}
		if own, ok := t.field.(appender); ok {
			b.text = own.appendText(b.text)
			continue
		}
		text, err := t.field.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("flows: match %#v: %v", t.field, err))
		}
		b.text = append(b.text, text...)
	}
	return string(b.text)
}

// insert keeps terms in OVS's order. The same prerequisite may come twice;
// anything else twice is a mistake that OVS would not report.
func insert(terms []term, t term) []term {
	i := len(terms)
	for i > 0 && terms[i-1].at > t.at {
		i--
	}
	if i > 0 && terms[i-1].at == t.at {
		if t == isIP || t == isARP {
			return terms
		}
		panic(fmt.Sprintf("flows: match has %#v and %#v", terms[i-1].field, t.field))
	}
	terms = append(terms, term{})
	copy(terms[i+1:], terms[i:])
	terms[i] = t
	return terms
}

func (b *builder) actionText(actions []ovs.Action) string {
	text, err := appendActions(b.text[:0], actions)
	if err != nil {
		panic("flows: " + err.Error())
	}
	b.text = text
	if string(text) != b.actions {
		b.actions = string(text)
	}
	return b.actions
}

func (b *builder) fragment(key FragmentKey) Fragment { return NewFragment(key, b.flows) }
