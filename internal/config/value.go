package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// boolWords are the ways to write a boolean, in lower case.
var boolWords = map[string]bool{
	"true": true, "yes": true, "on": true, "1": true,
	"false": false, "no": false, "off": false, "0": false,
}

// parse reads the text form of a value: bool, int, string, [time.Duration],
// [Size] or []string, by the kind of the key.
func (k Key) parse(text string) (any, error) {
	switch k.Kind {
	case Bool:
		value, ok := boolWords[strings.ToLower(text)]
		if !ok {
			return nil, fmt.Errorf("%q is not a boolean: write true or false", text)
		}
		return value, nil
	case Int:
		value, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		return value, nil
	case Duration:
		return parseDuration(text)
	case Bytes:
		return ParseSize(text)
	case List:
		return parseList(text), nil
	case String:
		return text, nil
	}
	panic("config: unknown kind " + string(k.Kind))
}

func parseDuration(text string) (time.Duration, error) {
	value, err := time.ParseDuration(text)
	if err == nil {
		return value, nil
	}
	if isDigits(text) {
		return 0, fmt.Errorf("%q has no unit: write %ss for seconds, or use ms, m or h", text, text)
	}
	return 0, fmt.Errorf("%q is not a duration: write a number and a unit, such as 15s, 1m30s or 250ms", text)
}

// parseList splits at commas; blanks around items and empty items do not count.
func parseList(text string) []string {
	items := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// text is the form of a value that parse reads back. Items of a list that
// contain commas are the exception: only the file can hold them.
func (k Key) text(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration:
		return formatDuration(value)
	default:
		return fmt.Sprint(value)
	}
}

// formatDuration writes 1m30s and 2h where the library writes 2h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	if text == "0s" {
		return "0"
	}
	return text
}

// check tells what is wrong with a value, and what to write instead.
func (k Key) check(value any) error {
	var texts []string
	switch value := value.(type) {
	case string:
		texts = []string{value}
	case []string:
		texts = value
	case int:
		return checkBounds(k, value)
	case time.Duration:
		return checkBounds(k, value)
	case Size:
		return checkBounds(k, value)
	}
	var wrong []error
	for _, text := range texts {
		wrong = append(wrong, k.checkText(text))
	}
	return errors.Join(wrong...)
}

func (k Key) checkText(text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%q contains characters that cannot be printed", text)
	}
	if k.Enum != nil && !slices.Contains(k.Enum, text) {
		hint := ""
		if near := nearest(text, k.Enum); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return fmt.Errorf("%q is not one of %s%s", text, strings.Join(k.Enum, ", "), hint)
	}
	if k.Format != "" {
		return formats[k.Format].check(text)
	}
	return nil
}

func checkBounds[T cmp.Ordered](k Key, value T) error {
	if k.Min != "" {
		if least := mustParse[T](k, k.Min); value < least {
			return fmt.Errorf("%s is too small: the least is %s", k.text(value), k.text(least))
		}
	}
	if k.Max != "" {
		if most := mustParse[T](k, k.Max); value > most {
			return fmt.Errorf("%s is too large: the most is %s", k.text(value), k.text(most))
		}
	}
	return nil
}

// mustParse reads a bound, which newKey has parsed before.
func mustParse[T any](k Key, text string) T {
	value, err := k.parse(text)
	if err != nil {
		panic(err)
	}
	return value.(T)
}

// get and set reach the field of a key in a tree.
func (k Key) get(root reflect.Value) any {
	return root.FieldByIndex(k.index).Interface()
}

func (k Key) set(root reflect.Value, value any) {
	root.FieldByIndex(k.index).Set(reflect.ValueOf(value))
}
