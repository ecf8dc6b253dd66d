package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// tokenBytes of randomness make a token; in the file they are hex.
const tokenBytes = 32

// minTokenLength refuses a file that was truncated, or a token worth guessing.
const minTokenLength = 16

// token reads the bearer token, or makes it at the first start. The file
// appears complete or not at all, readable by its owner only.
func token(path string, log *slog.Logger) (string, error) {
	token, err := readToken(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createToken(path); err != nil {
			return "", fmt.Errorf("creating auth.token_file: %w", err)
		}
		log.Info("created the token for the external API", "token_file", path)
		token, err = readToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("auth.token_file %s: %w", path, err)
	}
	return token, nil
}

func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minTokenLength {
		return "", fmt.Errorf("holds %d characters, fewer than %d: delete it, and a new one is made", len(token), minTokenLength)
	}
	return token, nil
}

func createToken(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	var random [tokenBytes]byte
	rand.Read(random[:])                                       // never fails
	file, err := os.CreateTemp(filepath.Dir(path), ".token-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(hex.EncodeToString(random[:]) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err // a link never replaces a token that another process has just made
	}
	return nil
}
