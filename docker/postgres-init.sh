#!/usr/bin/env bash
# Once, when Postgres makes its data folder: a database with an owner of its own for Airflow, and one for the serving tables.
set -euo pipefail
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set=airflow_password="$AIRFLOW_DB_PASSWORD" --set=serving_password="$SERVING_DB_PASSWORD" <<'SQL'
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
CREATE ROLE dawnlist LOGIN PASSWORD :'serving_password';
CREATE DATABASE serving OWNER dawnlist;
SQL
