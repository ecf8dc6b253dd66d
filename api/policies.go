package api

// The external API's JSON, v1, in Cloud Foundry's shape. The names of these
// types are part of the contract: they appear in the texts of JSON errors.

// PoliciesPayload is the body of create, delete and list.
type PoliciesPayload struct {
	TotalPolicies int          `json:"total_policies"`
	Policies      []PolicyBody `json:"policies"`
}

// PolicyBody is one policy in a body.
type PolicyBody struct {
	Source      Source      `json:"source"`
	Destination Destination `json:"destination"`
}

// Source is the app that connects.
type Source struct {
	ID  string `json:"id"`
	Tag string `json:"tag,omitempty"` // never accepted, shown to internal clients only
}

// Destination is the app that is connected to.
type Destination struct {
	ID       string `json:"id"`
	Tag      string `json:"tag,omitempty"`
	Protocol string `json:"protocol"`
	Ports    Ports  `json:"ports"`
}

// Ports is an inclusive range of ports.
type Ports struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// TagsPayload is the answer of GET tags.
type TagsPayload struct {
	Tags []Tag `json:"tags"`
}

// Tag is one identity as the external API lists it.
type Tag struct {
	ID   string `json:"id"`   // of the app
	Tag  string `json:"tag"`  // its group id: upper-case hex, 4 digits
	Type string `json:"type"` // "app"
}
