#!/usr/bin/env bash
# Once per start of the deployment, before Airflow: its database brought up to date, and the one user of its UI.
set -euo pipefail
umask 077
airflow db migrate
python -c 'import json, os; print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))' >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
