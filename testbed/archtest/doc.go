// Package archtest holds the fences of the project as tests: which package may
// import which, one package comment each, no file that outgrew its concept,
// nothing skipped. It never runs project code. Start at allowed in
// imports_test.go: it is the architecture, as a list.
package archtest
