package timeshift

import "io"

// FS is the directory that a store writes to. It is safe for concurrent use. Names have no
// slashes.
type FS interface {
	// Create makes an empty file that did not exist, for writing.
	Create(name string) (File, error)
	// Open opens a file for reading. The error is [fs.ErrNotExist] if there is none.
	Open(name string) (File, error)
	// Remove deletes a file. Those who have it open can go on reading.
	Remove(name string) error
	// Space returns the size of the disk and how much of it can be written, in
	// bytes.
	Space() (free, size int64, err error)
}

// File is an open file of an [FS].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// suffix ends the name of every file.
const suffix = ".ts"
