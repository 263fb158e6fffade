// Package enginetest gives tests an engine: [Fake], a faithful one whose
// failures can be ordered, [Verifier], which knows what a broadcast of the fake
// must look like, and [Test], the contract that any engine meets.
package enginetest
