// Package cfstub stands in for the two programs of Cloud Foundry that the
// controller asks: UAA, which knows who a caller is, and Cloud Controller,
// which knows apps, spaces, roles and security groups. Both are HTTP servers on
// loopback that can be made slow, broken or unreachable, and that count what
// they are asked. Start reading at New.
package cfstub
