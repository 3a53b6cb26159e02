package netif

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Speed returns the rate that an interface has agreed on with the other end of its
// cable, bits/s, or 0 if the system does not know: radios have none.
func Speed(name string) int64 {
	if strings.Contains(name, "/") || strings.Trim(name, ".") == "" {
		return 0
	}
	b, err := os.ReadFile(filepath.Join("/sys/class/net", name, "speed"))
	if err != nil {
		return 0
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // Mbit/s
	if err != nil || v <= 0 || v > 1e7 {
		return 0
	}
	return v * 1e6
}
