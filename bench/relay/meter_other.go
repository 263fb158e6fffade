//go:build !linux

package main

import "errors"

func costOf(int) (cost, error) {
	return cost{}, errors.New("the CPU time of another process is read on Linux only")
}

func enoughFiles(int) error { return nil }
