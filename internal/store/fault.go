package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Fault is what kind of trouble a failed write is in.
type Fault string

// The faults.
const (
	FaultFull     Fault = "disk_full"
	FaultReadOnly Fault = "read_only"
	FaultDamaged  Fault = "damaged"
	FaultBusy     Fault = "busy" // another process holds the file
	FaultOther    Fault = "failed"
)

// FaultOf returns the fault of an error of this package.
func FaultOf(err error) Fault {
	if _, ok := errors.AsType[*DamagedError](err); ok {
		return FaultDamaged
	}
	told, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return FaultOther
	}
	switch told.Code() & 0xff { // the primary code: https://www.sqlite.org/rescode.html
	case sqlite3.SQLITE_FULL:
		return FaultFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return FaultReadOnly
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return FaultDamaged
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return FaultBusy
	}
	return FaultOther
}

// passes tells whether a write may succeed later as it is.
func passes(err error) bool {
	told, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	return FaultOf(err) == FaultFull || FaultOf(err) == FaultReadOnly || FaultOf(err) == FaultBusy ||
		told.Code()&0xff == sqlite3.SQLITE_IOERR
}

// explain adds what was attempted, and tells damage by its name.
func (s *Store) explain(what string, err error) error {
	if FaultOf(err) == FaultDamaged {
		return fmt.Errorf("%s: %w", what, &DamagedError{Path: s.path, Detail: err.Error()})
	}
	return fmt.Errorf("%s: %w", what, err)
}
