package api_test

import "testing"

// TestLoggingSwitch is set as a whole, and only by a body that says all of it.
func TestLoggingSwitch(t *testing.T) {
	x := newExternal()
	const path = "/weft/v1/logging"
	want(t, x.call("GET", path, ""), 200, `{"accepted":false,"apps":[]}`)
	want(t, x.call("PUT", path, `{"accepted":true,"apps":["cats"]}`), 200, `{"accepted":true,"apps":["cats"]}`)
	want(t, x.call("GET", path, ""), 200, `{"accepted":true,"apps":["cats"]}`)
	for body, text := range map[string]string{
		`{"accepted":false}`:                        `request body: accepted and apps must both be given, such as {"accepted": false, "apps": ["cats"]}`,
		`{"apps":[]}`:                               `request body: accepted and apps must both be given, such as {"accepted": false, "apps": ["cats"]}`,
		`{"acepted":false,"apps":[]}`:               `request body: json: unknown field "acepted"`,
		`{"accepted":false,"apps":["cats"],"x":[]}`: `request body: json: unknown field "x"`,
	} {
		wantProblem(t, x.call("PUT", path, body), 400, text)
	}
	want(t, x.call("GET", path, ""), 200, `{"accepted":true,"apps":["cats"]}`)
	want(t, x.call("PUT", path, `{"accepted":false,"apps":[]}`), 200, `{"accepted":false,"apps":[]}`)
}
