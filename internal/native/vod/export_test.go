package vod

// Waits tells whether a Read of r is under way.
func Waits(r Reader) bool {
	since, _ := r.(*reader).waiting()
	return !since.IsZero()
}
