package ua

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrints(t *testing.T) {
	const password = "hunter2"
	var log bytes.Buffer
	c := Credentials{Username: "alice", Password: password}
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "s", c.Password, "c", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "s", c.Password, "c", c)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(asJSON)
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d", "%t"} {
		printed += fmt.Sprintf(verb, c.Password) + fmt.Sprintf(verb, c) + fmt.Sprintf(verb, &c)
	}
	if strings.Contains(printed, password) || strings.Contains(printed, fmt.Sprintf("%x", password)) {
		t.Errorf("the password was printed: %s", printed)
	}
	if !strings.Contains(printed, "alice") {
		t.Errorf("nothing was printed: %s", printed)
	}
}
