package settings

import (
	"maps"
	"slices"
	"strings"
)

// suggestion names the key that was probably meant, as the end of a sentence.
func (l *loader) suggestion(name string) string {
	names := slices.Concat(slices.Sorted(maps.Keys(l.keys)), slices.Sorted(maps.Keys(l.groups)))
	for _, known := range names { // in the wrong group: token_file is auth.token_file
		if strings.HasSuffix(known, "."+name) {
			return "; did you mean " + known + "?"
		}
	}
	last := name[strings.LastIndex(name, ".")+1:]
	if near := nearest(name, names, len(last)); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// nearest is the name that takes the fewest edits, if these are at most a third
// of the characters that matter, and one; of equals, the first.
func nearest(name string, names []string, matter int) (best string) {
	least := 2 + matter/3
	for _, other := range names {
		if n := edits(name, other); n < least {
			best, least = other, n
		}
	}
	return best
}

// edits is the number of characters to insert, delete or replace (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
