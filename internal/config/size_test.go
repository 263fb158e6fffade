package config

import (
	"math"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want Size
		bad  bool
	}{
		{text: "0", want: 0},
		{text: "17", want: 17},
		{text: "17B", want: 17},
		{text: "1kB", want: 1000},
		{text: "1KB", want: 1000},
		{text: "1KiB", want: 1024},
		{text: "128MiB", want: 128 << 20},
		{text: "128 mib", want: 128 << 20},
		{text: "2GB", want: 2e9},
		{text: "1.5GiB", want: 3 << 29},
		{text: "0.5B", want: 0},
		{text: "0.000001TiB", want: 1099511},
		{text: "9223372036854775807", want: math.MaxInt64},
		{text: "8388607TiB", want: 8388607 * TiB},
		{text: "9223372036854775808", bad: true},
		{text: "8388608TiB", bad: true},
		{text: "9223372036854775807.9B", want: math.MaxInt64},
		{text: "9223372036854775.9kB", bad: true},
		{text: "99999999TiB", bad: true},
		{text: "", bad: true},
		{text: "MiB", bad: true},
		{text: "-1", bad: true},
		{text: "1.MiB", bad: true},
		{text: ".5MiB", bad: true},
		{text: "1.0000001GiB", bad: true},
		{text: "1e3", bad: true},
		{text: "1M", bad: true},
		{text: "1 MiB 2", bad: true},
		{text: "１MiB", bad: true},
	}
	for _, test := range tests {
		got, err := ParseSize(test.text)
		if (err != nil) != test.bad || got != test.want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d, bad %v", test.text, got, err, test.want, test.bad)
		}
	}
}

func TestSizeString(t *testing.T) {
	t.Parallel()
	for text, size := range map[string]Size{
		"0": 0, "1": 1, "1023": 1023, "1KiB": 1024, "1kB": 1000, "1536KiB": 1536 << 10, "1000001": 1000001,
		"1GiB": GiB, "2GB": 2e9, "125kB": 125000, "1TiB": TiB,
	} {
		if got := size.String(); got != text {
			t.Errorf("Size(%d).String() = %q; want %q", int64(size), got, text)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(sizePattern)
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom(sizeUnits[:]).Draw(t, "unit").bytes
		size := Size(rapid.Int64Range(0, math.MaxInt64/int64(unit)).Draw(t, "n")) * unit
		text, err := size.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if !pattern.Match(text) {
			t.Errorf("%s does not match the pattern of the schema", text)
		}
		var back Size
		if err := back.UnmarshalText(text); err != nil || back != size {
			t.Errorf("%d is written %s and read back as %d, %v", int64(size), text, int64(back), err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, text := range []string{"0", "128MiB", "1.5 GB", "9223372036854775807", "8388608TiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			if size != 0 {
				t.Errorf("ParseSize(%q) = %d with the error %v", text, int64(size), err)
			}
			return
		}
		if size < 0 {
			t.Fatalf("ParseSize(%q) = %d, which is negative", text, int64(size))
		}
		back, err := ParseSize(size.String())
		if err != nil || back != size {
			t.Errorf("ParseSize(%q) = %d, written %s, read back as %d, %v", text, int64(size), size, int64(back), err)
		}
	})
}
