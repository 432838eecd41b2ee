package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	minus   = "\u2212"
	nothing = "\u2013" // in a table: not measured
)

// number writes .3566: four digits, no zero before the point, as papers on retrieval do.
func number(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 4, 64)
	if math.Abs(v) >= 1e6 {
		s = strconv.FormatFloat(math.Abs(v), 'g', 4, 64)
	}
	s = strings.TrimPrefix(s, "0")
	if v < 0 && s != ".0000" {
		return minus + s
	}
	return s
}

// signed writes +.0345.
func signed(v float64) string {
	s := number(v)
	if s != ".0000" && v > 0 {
		return "+" + s
	}
	return s
}

func optional(v *float64) string {
	if v == nil {
		return nothing
	}
	return number(*v)
}

// pValue writes two significant digits.
func pValue(p float64) string {
	if p < 0.0001 {
		return "< .0001"
	}
	if p >= 0.995 {
		return "1"
	}
	digits := int(math.Max(2, 1-math.Floor(math.Log10(p))))
	return strings.TrimPrefix(strconv.FormatFloat(p, 'f', digits, 64), "0")
}

// count writes 12,345.
func count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = minus, s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural writes "1 query", "2 queries".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// duration writes 0.42 s, 12.3 s, 3 min 20 s, 2 h 05 min.
func duration(seconds float64) string {
	whole := int64(math.Round(seconds))
	switch {
	case seconds < 1:
		return strconv.FormatFloat(seconds, 'f', 2, 64) + " s"
	case seconds < 59.95:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case whole < 3600:
		return fmt.Sprintf("%d min %02d s", whole/60, whole%60)
	}
	minutes := (whole + 30) / 60
	return fmt.Sprintf("%d h %02d min", minutes/60, minutes%60)
}

// size writes 812 B, 1.4 GiB.
func size(bytes int64) string {
	v, units := float64(bytes), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for v >= 1023.95 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

// shorten returns the first n characters of s in one line, cut between words where they are not too long, with an ellipsis
// where something is cut.
func shorten(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	chars := 0
	for at := range s {
		if chars == n {
			cut := s[:at]
			if space := strings.LastIndexByte(cut, ' '); s[at] != ' ' && space > len(cut)*3/4 {
				cut = cut[:space]
			}
			return strings.TrimSpace(cut) + " \u2026"
		}
		chars++
	}
	return s
}
