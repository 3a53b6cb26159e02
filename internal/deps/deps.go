// Package deps holds, as a test, what each room of this module may import. The
// table is in rules_test.go.
package deps
