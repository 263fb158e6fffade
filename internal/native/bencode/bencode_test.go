package bencode

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	anacrolix "github.com/anacrolix/torrent/bencode"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The examples of BEP 3.
func TestExamples(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Value{
		"4:spam":                   String("spam"),
		"0:":                       String(""),
		"i3e":                      Int(3),
		"i-3e":                     Int(-3),
		"i0e":                      Int(0),
		"i9223372036854775807e":    Int(math.MaxInt64),
		"i-9223372036854775808e":   Int(math.MinInt64),
		"l4:spam4:eggse":           List{String("spam"), String("eggs")},
		"le":                       List{},
		"de":                       Dict{},
		"d3:cow3:moo4:spam4:eggse": Dict{"cow": String("moo"), "spam": String("eggs")},
		"d4:spaml1:a1:bee":         Dict{"spam": List{String("a"), String("b")}},
		"d0:i1e1:ai2ee":            Dict{"": Int(1), "a": Int(2)},
	} {
		got, err := Decode([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		if back := string(want.Append(nil)); back != text {
			t.Errorf("%s was written as %s", text, back)
		}
	}
}

func TestSecondSpellingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "i", "ie", "i-e", "i03e", "i-0e", "i+3e", "i3", "i 3e", "i9223372036854775808e", "i0x1e", "i1_0e",
		"03:abc", "+3:abc", "-1:a", "4:spa", "9223372036854775807:a", "99999999999999999999:a", "3abc",
		"l", "li1e", "d", "di1ei2ee", "d1:a", "d1:ae", "d1:bi1e1:ai1ee", "d1:ai1e1:ai1ee", "d0:i1e0:i1ee",
		"i1ei2e", "4:spam ", "e", "x",
		strings.Repeat("l", maxDepth+2) + strings.Repeat("e", maxDepth+2),
		strings.Repeat("l", 1<<20),
		"l" + strings.Repeat("i0e", maxValues) + "e",
	} {
		if v, err := Decode([]byte(text)); err == nil || !errors.Is(err, ErrSyntax) {
			t.Errorf("%.40q was read as %v, %v", text, v, err)
		}
	}
	if _, err := DecodeDict([]byte("le")); !errors.Is(err, ErrSyntax) {
		t.Errorf("a list was read as a dictionary: %v", err)
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	v, rest, err := DecodePrefix([]byte("d8:msg_typei1eexxxx"))
	if err != nil || string(rest) != "xxxx" {
		t.Fatalf("%v, %q, %v", v, rest, err)
	}
	d := v.(Dict)
	if n, ok := d.Int("msg_type"); !ok || n != 1 {
		t.Errorf("msg_type is %d, %v", n, ok)
	}
	if _, ok := d.String("msg_type"); ok || d.List("msg_type") != nil || d.Dict("msg_type") != nil {
		t.Error("a number was read as something else")
	}
	if _, ok := d.Int("none"); ok {
		t.Error("a key that is not there has a value")
	}
}

func values(depth int) *rapid.Generator[Value] {
	kinds := []*rapid.Generator[Value]{
		rapid.Map(rapid.Int64(), func(n int64) Value { return Int(n) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) Value { return String(b) }),
	}
	if depth > 0 {
		inner := values(depth - 1)
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []Value) Value { return append(List{}, l...) }),
			rapid.Map(rapid.MapOfN(rapid.StringN(0, 8, 20), inner, 0, 4), func(m map[string]Value) Value { return Dict(m) }),
		)
	}
	return rapid.OneOf(kinds...)
}

// What is written is read as it was, by us and by another implementation.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := values(4).Draw(t, "value")
		b := v.Append(nil)
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Fatal(diff)
		}
		var other any
		if err := anacrolix.Unmarshal(b, &other); err != nil {
			t.Fatalf("%q is refused by another implementation: %v", b, err)
		}
		if back := anacrolix.MustMarshal(other); !bytes.Equal(back, b) {
			t.Fatalf("another implementation writes %q as %q", b, back)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"))
	f.Add([]byte("lli-1eel0:eded1:adeee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodePrefix(b)
		if err != nil {
			return
		}
		// There is one spelling: what was read is what would be written.
		if read := b[:len(b)-len(rest)]; !bytes.Equal(v.Append(nil), read) {
			t.Fatalf("%q is written as %q", read, v.Append(nil))
		}
	})
}
