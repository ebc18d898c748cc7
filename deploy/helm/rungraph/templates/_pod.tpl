{{- /* Shared by the pods of the server and of prune. */}}

{{- define "rungraph.podSpec" -}}
serviceAccountName: {{ include "rungraph.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "rungraph.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
  - name: RUNGRAPH_AUTH
    value: {{ .Values.auth }}
  {{- if .Values.allowAnybody }}
  - name: RUNGRAPH_ALLOW_ANYBODY
    value: "true"
  {{- end }}
  - name: RUNGRAPH_STOP_DELAY
    value: {{ .Values.stopDelay | quote }}
  {{- if and .Values.ingress.enabled .Values.ingress.tlsSecret (not (hasKey .Values.env "RUNGRAPH_PUBLIC_URL")) }}
  - name: RUNGRAPH_PUBLIC_URL
    value: {{ printf "https://%s%s" .Values.ingress.host (trimSuffix "/" .Values.ingress.path) | quote }}
  {{- end }}
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
envFrom:
  - secretRef:
      name: {{ required "existingSecret: name a Secret with RUNGRAPH_DATABASE_URL in it" .Values.existingSecret }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
