// Package demo holds the clip that the demonstration plays: a test pattern of
// twenty seconds, H.264 and AAC in an MPEG transport stream, made by clip.sh.
package demo

import _ "embed"

// ClipName is the file name of the clip.
const ClipName = "acequia-demo.ts"

//go:embed clip.ts
var clip []byte

// Clip returns the bytes of the clip. They are not to be written to.
func Clip() []byte { return clip }
