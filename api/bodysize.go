package api

// maxPolicies is more policies than the longest body that is allowed can hold
// if all of them are valid: one takes 72 bytes at least.
const maxPolicies = 150_000

// maxErrorText bounds how much of a body the text about its fault may repeat.
const maxErrorText = 1 << 10

// elements counts the elements of the arrays and objects that are right inside
// the outermost one, without reading what is in them. A body of three million
// empty policies would need a gigabyte before the first is found to be wrong.
func elements(raw []byte) int {
	depth, commas := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 2 {
				commas++
			}
		}
	}
	return commas + 1
}
