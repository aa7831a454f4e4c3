package registration

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(processEnv) != "" {
		registrarProcess()
		return
	}
	goleak.VerifyTestMain(m)
}
