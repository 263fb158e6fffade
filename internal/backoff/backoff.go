// Package backoff computes how long to wait before trying again. It waits for
// nothing itself: failures and their times are data of the caller.
package backoff

import "time"

// Policy doubles the delay with every failure in a row, from Min up to Max.
// It is a value, safe for concurrent use.
type Policy struct {
	Min time.Duration // delay after the first failure
	Max time.Duration // bound; below Min it counts as Min
}

// Delay returns how long to wait after that many failures in a row; 0 when
// there was none.
func (p Policy) Delay(failures int) time.Duration {
	if failures <= 0 || p.Min <= 0 {
		return 0
	}
	d := p.Min
	for range failures - 1 {
		if d >= p.Max/2 {
			return max(p.Min, p.Max)
		}
		d *= 2
	}
	return d
}
