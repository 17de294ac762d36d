# The program for Windows, as one file and as a folder: out\dist\sungaze.exe, out\dist\sungaze-folder.
#   powershell -ExecutionPolicy Bypass -File build\windows.ps1
# Wants Python 3.11 or newer (64 bit) and the pages, built with Node: npm ci; npm run build. The window is WebView2, which
# Windows 11 has; on Windows 10 Microsoft's "Evergreen" installer brings it.
# Not yet run on a Windows machine.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
$room = 'out\freeze'
$python = Join-Path $room 'venv\Scripts\python.exe'

function Step([string] $title, [scriptblock] $body) {
  Write-Host "$title ..."
  & $body
  if ($LASTEXITCODE -ne 0) { throw "The step '$title' failed; what it said stands above." }
}

if (-not (Test-Path 'out\web\index.html')) { throw 'The pages are not built: npm ci, then npm run build.' }
New-Item -ItemType Directory -Force $room, 'out\dist' | Out-Null
if (Test-Path "$room\venv") { Remove-Item -Recurse -Force "$room\venv" }

Step 'Environment' { py -3 -m venv "$room\venv" }
Step 'Packages' {
  & $python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps `
    -r requirements\core.txt -r requirements\build.txt
}
Step 'Icons' { & $python build\icon.py out\icons }
Step 'Program' {
  & $python -m PyInstaller build\sungaze.spec --noconfirm --log-level WARN --distpath out\dist --workpath "$room\work"
}
# An unsigned program is stopped by SmartScreen at its first start; who has a certificate names it by its thumbprint.
if ($env:SIGNING_THUMBPRINT) {
  Step 'Signature' {
    signtool sign /sha1 $env:SIGNING_THUMBPRINT /fd SHA256 /tr http://timestamp.digicert.com /td SHA256 out\dist\sungaze.exe
  }
}
Step 'A first start' { & 'out\dist\sungaze.exe' --version }
Get-Content out\dist\contents.txt -TotalCount 12
