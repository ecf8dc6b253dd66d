// Package cloudfoundry asks the two programs of Cloud Foundry that know what the
// controller does not: UAA, who a caller is and what it may do; Cloud
// Controller, which apps there are, who develops them, and the security groups.
//
// Both are outside our control, so that every request of theirs is bounded in
// time and every answer in size, redirects are not followed, and no error holds
// a token or a secret. Whoever does not answer is never taken for a no, nor for
// a yes. Start reading at UAA.Authenticate and CloudController.MayWrite.
package cloudfoundry
