package config

import "strings"

// nearest returns the candidate that a mistyped word most likely meant, or ""
// where none is close. The first of equals wins.
func nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", closeEnough(word)+1
	for _, candidate := range candidates {
		distance := editDistance(word, strings.ToLower(candidate))
		// Somebody who leaves out the section means the key in it.
		if base(candidate) == word && candidate != word {
			distance = 1
		}
		if distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// closeEnough is the most edits that still look like a slip: one in three.
func closeEnough(word string) int { return max(1, len(word)/3) }

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment), in bytes.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
