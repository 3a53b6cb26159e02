package api

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// minTokenBytes is below what anybody would make at random.
const minTokenBytes = 16

// ReadTokens reads a file of bearer tokens: one a line, of at least 16 printable
// characters; empty lines and those that begin with "#" are passed over. A
// client uses the first. While tokens are changed, a server has both.
func ReadTokens(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tokens []string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		token := strings.TrimSpace(lines.Text())
		if token == "" || token[0] == '#' {
			continue
		}
		if len(token) < minTokenBytes || !graphic(token) {
			return nil, fmt.Errorf("%s: line %d: want a token of at least %d printable characters without spaces", path, n, minTokenBytes)
		}
		tokens = append(tokens, token)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s: no token in it", path)
	}
	return tokens, nil
}
