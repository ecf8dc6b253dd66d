// Package asgsync keeps the controller's dynamic security groups those of Cloud
// Controller. It asks every two seconds whether anything has changed, and reads
// all groups when it has, so that a change is in the switches within five
// seconds. What is not a complete and consistent answer changes nothing: the
// controller keeps the groups that it has. Start reading at Syncer.Run.
package asgsync
